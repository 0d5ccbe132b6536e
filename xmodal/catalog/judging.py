"""Which judged queries a catalogue has, by part: given ones, else made of titles."""

from collections.abc import Collection, Iterator, Mapping
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
from xmodal.catalog.splits import Traits
from xmodal.catalog.store import Catalog
from xmodal.errors import QueriesError
from xmodal.storage import Place

_PARTS: tuple[Split, ...] = ("val", "dev", "test")
_LEAST = 5  # products that can judge: a fifth of them at most becomes val


@dataclass(frozen=True)
class Judging:
    """The outcome: counts by part, and what may train."""

    n_queries: dict[str, int]
    made: dict[str, bool]
    train: Queries  # given queries that only `train` asks
    digest: str  # of the given queries: parts, texts, images, judgements


def judge(catalog: Catalog, traits: Traits, given: Mapping[Split, Queries]) -> Judging:
    """Write the judged queries of each part that has any: given ones, else made of titles.

    Args:
        catalog: its products are written, its manifest names the parts.
        traits: of the products, final splits.
    """
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


def why_not_trainable(judging: Judging, traits: Traits, *, is_made: bool) -> str:
    """Why no model can be trained on the catalogue, and the mend; "" where nothing speaks against.

    Args:
        is_made: `val` was cut from train here, not given.
    """
    part = "train" if is_made else "val"
    rows = [row for row, split in enumerate(traits.splits) if split == part]
    able = [row for row in rows if traits.titles[row] and traits.pixels[row]]
    if not judging.n_queries.get("val"):
        why = _why_no_query(traits, part, rows, len(able))
        return (
            f"nothing to choose a model by, as val has no query: {why}; add such products, or"
            " judged queries as val.json in a folder that catalog.queries names"
        )
    shown = zip(traits.titles, traits.pixels, traits.splits, strict=True)
    titles = [title for title, pixels, split in shown if pixels and split in ("train", "val")]
    if judging.made["val"] and len(set(titles)) == 1:
        return (
            f"nothing to learn and nothing to choose a model by: all {len(titles)} products with a"
            " picture have the same title; give titles that tell them apart, or judged queries as"
            " train.json and val.json in a folder that catalog.queries names"
        )
    return ""


def _why_no_query(traits: Traits, part: str, rows: Collection[int], able: int) -> str:
    if not any(traits.titles[row] for row in rows):
        return f"none of the {len(rows)} products of {part} has a title"
    if not any(traits.pixels[row] for row in rows):
        return f"none of the {len(rows)} products of {part} has a picture"
    if able < _LEAST:
        return f"{able} products of {part} have a title and a picture, {_LEAST} are needed"
    return f"the {able} products of {part} with a title and a picture are near-duplicates"


def given_queries(
    place: Place | None, traits: Traits, lost: Collection[str]
) -> dict[Split, Queries]:
    """The judged queries of each part that a file, or a folder with `<part>.json` files, gives.

    Args:
        place: None if nothing is given.
        lost: ids of products in quarantine: judgements of them are left out.

    Raises:
        QueriesError: they cannot be read, or name products that nobody knows.
    """
    if place is None:
        return {}
    split_of = dict(zip(traits.ids, traits.splits, strict=True))
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
    named = {name: value for name, value in asdict(asked).items() if name != "labels"}
    return fingerprint.of_json({**named, "images": images})


def _trainable(given: Mapping[Split, Queries]) -> Queries:
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
