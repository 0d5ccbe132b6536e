"""Which judged queries a catalogue has, by part: given ones, else made of titles."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from pyarrow import fs

from xmodal import fingerprint
from xmodal.catalog.judged import (
    Queries,
    Titled,
    made_of_titles,
    part_of,
    read_queries,
    write_queries,
)
from xmodal.catalog.language import fold
from xmodal.catalog.schema import SPLITS, Split
from xmodal.catalog.source import Place
from xmodal.catalog.splits import Traits
from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError, QueriesError

_PARTS: tuple[Split, ...] = ("val", "dev", "test")
_LEAST = 5  # products that can judge: a fifth of them at most becomes val


@dataclass(frozen=True)
class Judging:
    """The outcome: counts by part, and what may train."""

    n_queries: dict[str, int]
    made: dict[str, bool]
    train: Queries  # given queries that only `train` asks
    digest: str  # of the given queries: parts, texts, images, judgements


def judge(catalog: Catalog, traits: Traits, lost: Collection[str], place: Place | None) -> Judging:
    """Write the judged queries of each part that has any.

    Args:
        catalog: its products are written, its manifest names the parts.
        traits: of the products, final splits.
        lost: ids of products in quarantine: judgements of them are left out.
        place: given queries: a file, or a folder with `<part>.json` files; None if there are none.
    """
    split_of = dict(zip(traits.ids, traits.splits, strict=True))
    given = _given(place, split_of, lost)
    n_queries: dict[str, int] = {}
    made: dict[str, bool] = {}
    digests = {part: _digest(queries) for part, queries in given.items()}
    for part in _PARTS:
        queries = given.get(part) or Queries()
        made[part] = not queries.qrels
        if made[part]:
            queries = made_of_titles(lambda: _titles(catalog, traits), part)
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


def check_val(judging: Judging, traits: Traits, *, is_made: bool) -> None:
    """Check that `val`, cut from train here (`is_made`) or given, has a query.

    Raises:
        CatalogError: it has none, so nothing could pick a checkpoint.
    """
    if judging.n_queries.get("val"):
        return
    part = "train" if is_made else "val"
    rows = [row for row, split in enumerate(traits.splits) if split == part]
    able = sum(bool(traits.titles[row] and traits.pixels[row]) for row in rows)
    if not any(traits.titles[row] for row in rows):
        cause = f"none of the {len(rows)} products of {part} has a title"
    elif not any(traits.pixels[row] for row in rows):
        cause = f"none of the {len(rows)} products of {part} has a picture"
    elif able < _LEAST:
        cause = f"{able} products of {part} have a title and a picture, {_LEAST} are needed"
    else:
        cause = f"the {able} products of {part} with a title and a picture share their pictures"
    raise CatalogError(
        f"nothing to choose a model by, as val has no query: {cause}; add such products, or judged"
        " queries as val.json in a folder that catalog.queries names"
    )


def _given(
    place: Place | None, split_of: dict[str, Split], lost: Collection[str]
) -> dict[Split, Queries]:
    if place is None:
        return {}
    system, path = place
    if system.get_file_info(path).type == fs.FileType.Directory:
        files: dict[Split, str] = {part: f"{path}/{part}.json" for part in SPLITS}
        infos = system.get_file_info([f"{path}/queries.parquet", *files.values()])
        has_tables, *has = [info.type == fs.FileType.File for info in infos]
        found = {
            part: file
            for (part, file), is_there in zip(files.items(), has, strict=True)
            if is_there
        }
        if not has_tables and not found:
            raise QueriesError(f"{path}: holds neither queries.parquet nor <part>.json files")
        if not has_tables:
            return {part: read_queries((system, f), split_of, lost) for part, f in found.items()}
        path = f"{path}/queries.parquet"
    queries = read_queries((system, path), split_of, lost)
    by_part: dict[Split, set[str]] = {}
    for query, grades in queries.qrels.items():
        by_part.setdefault(part_of(grades, split_of), set()).add(query)
    return {part: queries.only(ids) for part, ids in by_part.items()}


def _digest(queries: Queries) -> str:
    """Fingerprint of all that is asked and judged."""
    asked = queries.only(queries.qrels)
    images = {query: fingerprint.of_bytes(image) for query, image in asked.images.items()}
    return fingerprint.of_json({**asdict(asked), "images": images})


def _trainable(given: dict[Split, Queries]) -> Queries:
    """Queries of `train` that no held-out part asks; pairs leave held-out products out."""
    queries = given.get("train") or Queries()
    held_out = [text for part in _PARTS for text in (given.get(part) or Queries()).texts.values()]
    asked = set(map(fold, held_out))
    return queries.only({q for q in queries.qrels if fold(queries.texts.get(q, "")) not in asked})


def _titles(catalog: Catalog, traits: Traits) -> Iterator[Titled]:
    """(product_id, title, split, has an image) of every product."""
    rows = catalog.rows(["title"])
    known = zip(traits.ids, rows, traits.splits, traits.pixels, strict=True)
    for product_id, row, split, pictures in known:
        yield product_id, str(row["title"]), split, bool(pictures)
