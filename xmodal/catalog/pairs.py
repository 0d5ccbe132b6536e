"""Writes the pairs that training eats: titles, attribute captions, judged queries.

`PAIRED` is the one place that keeps `dev` and `test` out of training: a product of another
split never gets past `pair_rows`, whatever its text comes from.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xmodal.catalog.captions import Caption, Glossary, Vocabulary, chinese, describe, english
from xmodal.catalog.judged import Queries
from xmodal.catalog.language import language_of
from xmodal.catalog.schema import PAIR
from xmodal.catalog.store import Catalog

PAIRED = ("train", "val")  # val's pairs pick a checkpoint, they never train
_FLUSH_ROWS = 50_000


@dataclass(frozen=True)
class Texts:
    """What pairs are made of, beside the products themselves."""

    glossary: Glossary
    judged: Queries  # queries whose products are of `train`
    seed: int


def write_pairs(catalog: Catalog, texts: Texts) -> Counter[str]:
    """Write `pairs.parquet` beside the products; returns how many there are of each source."""
    columns = ["product_id", "title", "attributes", "lang", "split"]
    words = describe(
        row["attributes"] for row in catalog.rows(["attributes", "split"]) if _trains(row)
    )
    counts: Counter[str] = Counter()
    waiting: list[dict[str, object]] = []
    with pq.ParquetWriter(catalog.path / "pairs.parquet", PAIR, compression="ZSTD") as file:
        for pair in _all_pairs(catalog.rows(columns), words, texts):
            waiting.append(pair)
            counts[str(pair["source"])] += 1
            if len(waiting) == _FLUSH_ROWS:
                file.write_table(pa.Table.from_pylist(waiting, PAIR))
                waiting = []
        file.write_table(pa.Table.from_pylist(waiting, PAIR))
    return counts


def pair_rows(
    row: Mapping[str, Any], number: int, captions: Sequence[tuple[str, Caption]], lang: str
) -> Iterator[dict[str, object]]:
    """Pairs of one product and its captions, (source, caption); none for a held-out product."""
    if row["split"] not in PAIRED:
        return
    for source, caption in captions:
        yield {
            "text": caption.text,
            "product_id": row["product_id"],
            "product_row": number,
            "weight": 1.0,
            "source": source,
            "lang": lang if source == "title" and lang else language_of(caption.text),
            "split": row["split"],
            "facts": list(caption.facts),
        }


def _all_pairs(
    rows: Iterator[dict[str, Any]], words: Vocabulary, texts: Texts
) -> Iterator[dict[str, object]]:
    asked: dict[str, list[str]] = {}
    for query, grades in texts.judged.qrels.items():
        for product in (p for p, grade in grades.items() if grade > 0):
            asked.setdefault(product, []).append(texts.judged.texts.get(query, ""))
    kind = _kind_of(texts.glossary, words)
    for number, row in enumerate(rows):
        if row["split"] not in PAIRED:
            continue
        rng = random.Random(f"{texts.seed}:{row['product_id']}")
        attributes = row["attributes"]
        captions = [("title", Caption(row["title"], ()))] if row["title"] else []
        captions += [("attributes", c) for c in english(attributes, words, rng)]
        captions += [("glossary", c) for c in chinese(attributes, texts.glossary, kind, rng)]
        if _trains(row):
            mine = asked.get(row["product_id"], ())
            captions += [("judged", Caption(text, ())) for text in mine if text]
        yield from pair_rows(row, number, captions, row["lang"])


def _kind_of(glossary: Glossary, words: Vocabulary) -> str | None:
    """The glossary's attribute that names the kind: the shop's, else the one of most values."""
    if words.kind in glossary:
        return words.kind
    return max(glossary, key=lambda name: len(glossary[name]), default=None)


def _trains(row: Mapping[str, Any]) -> bool:
    return bool(row["split"] == "train")
