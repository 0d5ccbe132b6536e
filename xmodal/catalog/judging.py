"""Which judged queries a catalogue has, by part: given ones, else made of titles."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from xmodal import fingerprint
from xmodal.catalog.judged import (
    Queries,
    made_of_titles,
    part_of,
    read_queries,
    write_queries,
)
from xmodal.catalog.schema import SPLITS, Split
from xmodal.catalog.splits import Traits
from xmodal.catalog.store import Catalog
from xmodal.errors import QueriesError

_PARTS: tuple[Split, ...] = ("val", "dev", "test")


@dataclass(frozen=True)
class Judging:
    """The outcome: counts by part, and what may train."""

    n_queries: dict[str, int]
    made: dict[str, bool]
    train: Queries  # given queries that only `train` asks
    digest: str


def judge(catalog: Catalog, traits: Traits, lost: Collection[str], path: Path | None) -> Judging:
    """Write the judged queries of each part that has any.

    Args:
        catalog: its products are written, its manifest names the parts.
        traits: of the products, final splits.
        lost: ids of products in quarantine: judgements of them are left out.
        path: given queries: a file, or a folder with `<part>.json` files; None if there are none.
    """
    split_of = dict(zip(traits.ids, traits.splits, strict=True))
    given = _given(path, split_of, lost)
    n_queries: dict[str, int] = {}
    made: dict[str, bool] = {}
    digests = [sorted(queries.qrels.items()) for queries in given.values()]
    for part in _PARTS:
        queries = given.get(part) or Queries()
        made[part] = not queries.qrels
        if made[part]:
            queries = made_of_titles(_titles(catalog, traits), part)
        n_queries[part] = len(queries.qrels)
        if queries.qrels:
            write_queries(catalog.path / "judged", part, queries)
    asked = {part for part in _PARTS if n_queries[part]}
    return Judging(
        {part: n_queries[part] for part in _PARTS if part in asked},
        {part: made[part] for part in _PARTS if part in asked},
        _trainable(given),
        fingerprint.of_json(digests),
    )


def _given(
    path: Path | None, split_of: dict[str, Split], lost: Collection[str]
) -> dict[Split, Queries]:
    if path is None:
        return {}
    if path.is_dir() and not (path / "queries.parquet").exists():
        files = {part: path / f"{part}.json" for part in SPLITS}
        found = {part: file for part, file in files.items() if file.exists()}
        if not found:
            raise QueriesError(f"{path}: holds neither queries.parquet nor <part>.json files")
        return {part: read_queries(file, split_of, lost) for part, file in found.items()}
    queries = read_queries(path / "queries.parquet" if path.is_dir() else path, split_of, lost)
    by_part: dict[Split, set[str]] = {}
    for query, grades in queries.qrels.items():
        by_part.setdefault(part_of(grades, split_of), set()).add(query)
    return {part: queries.only(ids) for part, ids in by_part.items()}


def _trainable(given: dict[Split, Queries]) -> Queries:
    """Queries of `train` that no held-out part asks; pairs leave held-out products out."""
    queries = given.get("train") or Queries()
    held_out = {text for part in _PARTS for text in (given.get(part) or Queries()).texts.values()}
    return queries.only({q for q in queries.qrels if queries.texts.get(q, "") not in held_out})


def _titles(catalog: Catalog, traits: Traits) -> Iterator[tuple[str, str, Split, bool]]:
    """(product_id, title, split, has an image) of every product."""
    rows = catalog.rows(["title"])
    known = zip(traits.ids, rows, traits.splits, traits.pixels, strict=True)
    for product_id, row, split, pictures in known:
        yield product_id, str(row["title"]), split, bool(pictures)
