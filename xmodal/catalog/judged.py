"""Judged queries: read from a file, or made of the titles of a part."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xmodal.catalog.language import language_of
from xmodal.catalog.schema import QREL, QUERY, Split
from xmodal.errors import QueriesError

MAX_GRADE = 3
_FORM = "must be {query: {product_id: grade}} with grades 0 to 3"


@dataclass(frozen=True)
class Queries:
    """Queries with their judgements, as they were read."""

    texts: dict[str, str] = field(default_factory=dict)  # query id to text
    images: dict[str, bytes] = field(default_factory=dict)  # query id to encoded image
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    langs: dict[str, str] = field(default_factory=dict)

    def only(self, ids: Collection[str]) -> "Queries":
        """The queries of `ids`."""
        return Queries(
            {q: text for q, text in self.texts.items() if q in ids},
            {q: image for q, image in self.images.items() if q in ids},
            {q: grades for q, grades in self.qrels.items() if q in ids},
            {q: lang for q, lang in self.langs.items() if q in ids},
        )


def read_queries(path: Path, known: Collection[str], lost: Collection[str] = ()) -> Queries:
    """The judged queries of a JSON file, or of `queries.parquet` with `qrels.parquet` beside it.

    Judgements of `lost` products (those in quarantine) are left out, and so are queries that
    have no other.

    Raises:
        QueriesError: the file is missing or malformed, or names products that nobody knows.
    """
    if path.suffix == ".parquet":
        queries = _from_parquet(path)
    else:
        queries = _from_json(path)
    unknown = [p for grades in queries.qrels.values() for p in grades if p not in known]
    strange = [p for p in unknown if p not in lost]
    if strange:
        raise QueriesError(
            f"{path}: {len(set(strange))} products are not in the catalogue, such as"
            f" {strange[0]!r}; take them out, or ingest the catalogue that has them"
        )
    if unknown:
        gone = set(unknown)
        for query, grades in queries.qrels.items():
            queries.qrels[query] = {p: grade for p, grade in grades.items() if p not in gone}
    return queries.only({q for q, grades in queries.qrels.items() if any(grades.values())})


def part_of(grades: Mapping[str, int], split_of: Mapping[str, Split]) -> Split:
    """The part that a query judges: what is held out wins over what is trained on."""
    counts = Counter(split_of[product] for product, grade in grades.items() if grade > 0)
    for part in ("test", "dev"):
        if counts[part]:
            return part
    return "val" if counts["val"] and counts["val"] >= counts["train"] else "train"


def made_of_titles(products: Iterable[tuple[str, str, Split, bool]], part: Split) -> Queries:
    """Every title of the part as a query; all products of that title are relevant.

    Args:
        products: (product_id, title, split, has an image) of the whole catalogue; a product
            without an image is neither asked for nor relevant, as the gallery is of images.
        part: the split whose titles ask.
    """
    by_title: dict[str, dict[str, int]] = defaultdict(dict)
    asked: dict[str, None] = {}
    for product_id, title, split, has_image in products:
        if title and has_image:
            by_title[title][product_id] = 1
            if split == part:
                asked[title] = None
    return Queries(
        texts={title: title for title in asked},
        qrels={title: by_title[title] for title in asked},
        langs={title: language_of(title) for title in asked},
    )


def write_queries(folder: Path, part: str, queries: Queries) -> None:
    """Write `<part>.queries.parquet` and `<part>.qrels.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "query_id": query,
            "text": queries.texts.get(query),
            "image": queries.images.get(query),
            "lang": queries.langs.get(query, ""),
        }
        for query in queries.qrels
    ]
    grades = [
        {"query_id": query, "product_id": product, "grade": grade}
        for query, graded in queries.qrels.items()
        for product, grade in graded.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows, QUERY), folder / f"{part}.queries.parquet")
    pq.write_table(pa.Table.from_pylist(grades, QREL), folder / f"{part}.qrels.parquet")


def _from_json(path: Path) -> Queries:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise QueriesError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise QueriesError(f"{path}: is not JSON ({error}); it {_FORM}") from error
    if not isinstance(content, dict) or not content:
        raise QueriesError(f"{path}: {_FORM}")
    queries = Queries()
    for query, grades in content.items():
        if not isinstance(grades, dict) or not all(map(_is_grade, grades.values())):
            raise QueriesError(f"{path}: query {query!r}: {_FORM}")
        if query.strip():
            queries.texts[query] = query
            queries.qrels[query] = {str(p): int(grade) for p, grade in grades.items()}
            queries.langs[query] = language_of(query)
    return queries


def _from_parquet(path: Path) -> Queries:
    beside = path.with_name(path.name.replace("queries", "qrels"))
    queries = Queries()
    try:
        asked = pq.read_table(path).to_pylist()
        judged = pq.read_table(beside, columns=["query_id", "product_id", "grade"]).to_pylist()
        for row in asked:
            query, text = str(row["query_id"]), row.get("text")
            queries.qrels[query] = {}
            if text:
                queries.texts[query] = text
            elif row.get("image"):
                queries.images[query] = row["image"]
            queries.langs[query] = row.get("lang") or language_of(text or "")
        for row in judged:
            if not _is_grade(row["grade"]):
                raise QueriesError(f"{beside}: grade {row['grade']!r}; use 0 to 3")
            queries.qrels[str(row["query_id"])][str(row["product_id"])] = int(row["grade"])
    except (OSError, pa.ArrowException, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise QueriesError(
            f"{path}: needs query_id and text or image, and query_id, product_id, grade in"
            f" {beside.name} ({reason})"
        ) from error
    return queries


def _is_grade(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value in range(MAX_GRADE + 1)
