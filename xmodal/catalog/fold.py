"""Folds a home's changes into a catalogue of their own, from which the next index is built.

    catalogue taken in + journal of changes -> <home>/catalogs/<id>, and where each row came from

The catalogue that was taken in stays, and stays current: training goes on with its pairs. A word
in the journal counts more than the shop's files, older or newer. The folded one says up to which
offset it holds the changes; what comes later lies over its index until the next build.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xmodal.catalog.changes import Change, Changes, products_folder
from xmodal.catalog.rows import Draft
from xmodal.catalog.schema import PAIR, PRODUCT, SPLITS
from xmodal.catalog.store import CHANGES_END, GLOSSARY, Catalog, open_catalog
from xmodal.catalog.writer import ProductWriter
from xmodal.fingerprint import of_json
from xmodal.journal import Journal
from xmodal.storage import scratch, settle

BASE = "folded_into"
NEW = -1  # origin of a row that the journal wrote
_ORIGIN = "origin.npy"
_BATCH_ROWS = 256
_Placed = tuple[dict[str, Any], int]


def fold_changes(home: Path, base: Catalog) -> Catalog:
    """`base` with the home's changes in it; itself where none of its products changed.

    Raises:
        StorageError: the disk is full; nothing is left.
    """
    changes = Changes(Journal(products_folder(home)), base.changes_end)
    changes.follow()
    known = set(base.products(["product_id"])["product_id"].to_pylist())
    newest = {name: one for name, one in changes.newest.items() if one.facts or name in known}
    if not newest:
        return base
    words = [[name, one.facts and asdict(one.facts)] for name, one in newest.items()]
    final = home / "catalogs" / of_json([base.manifest.fingerprint, words])
    if not (final / "manifest.json").exists():
        with scratch(home / "catalogs") as beside:
            _write(beside, final.name, base, changes, newest)
            settle(beside, final)
    return open_catalog(final)


def origin_of(catalog: Catalog) -> tuple[str, NDArray[np.int64]] | None:
    """Id of the catalogue that was folded, and the row there of each row; None of any other."""
    base = catalog.manifest.facts.get(BASE)
    return None if base is None else (base, np.load(catalog.path / _ORIGIN))


def _write(
    folder: Path, name: str, base: Catalog, changes: Changes, newest: Mapping[str, Change]
) -> None:
    writer, splits = ProductWriter(folder / "products"), Counter[str]()
    rows: dict[str, int] = {}
    origin: list[int] = []
    n_images = 0
    for row, place in _all_rows(base, changes, newest):
        images = row.pop("images") or []
        writer.add(Draft("", place, **row), images)
        rows[row["product_id"]] = len(rows)
        origin.append(NEW if row["product_id"] in newest else place)
        splits[row["split"]] += 1
        n_images += len(images)
    writer.close()
    np.save(folder / _ORIGIN, np.array(origin, np.int64))
    if (base.path / GLOSSARY).exists():
        copyfile(base.path / GLOSSARY, folder / GLOSSARY)
    replace(
        base.manifest,
        id=name,
        fingerprint=name,
        n_products=len(rows),
        n_images=n_images,
        counts={split: splits[split] for split in SPLITS if splits[split]},
        parts=writer.parts,
        n_pairs=_fold_pairs(folder, base, rows, set(newest)),
        n_queries=_fold_judged(folder, base, rows),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=base.manifest.facts | {CHANGES_END: str(changes.end), BASE: base.manifest.id},
    ).write(folder)


def _all_rows(base: Catalog, changes: Changes, newest: Mapping[str, Change]) -> Iterator[_Placed]:
    """Yield each product as a row of the schema, and its place in `base`; new ones come last."""
    seen = set()
    for place, row in enumerate(base.rows(PRODUCT.names, _BATCH_ROWS)):
        change = newest.get(row["product_id"])
        seen.add(row["product_id"])
        if change is None:
            yield row | {"attributes": dict(row["attributes"] or {})}, place
        elif change.facts is not None:
            yield _row(change, changes, row["split"]), place
    for name, change in newest.items():
        if name not in seen and change.facts is not None:
            yield _row(change, changes, "train"), NEW


def _row(change: Change, changes: Changes, split: str) -> dict[str, Any]:
    assert change.facts is not None
    row = asdict(change.facts) | {"images": changes.pictures(change), "split": split}
    del row["pictures"]
    return row


def _fold_pairs(folder: Path, base: Catalog, rows: Mapping[str, int], changed: set[str]) -> int:
    """Pairs of products that did not change, by their new rows; returns how many."""
    path = base.path / "pairs.parquet"
    pairs = pq.read_table(path) if path.exists() else PAIR.empty_table()
    ids = pairs["product_id"].to_pylist()
    pairs = pairs.filter(pa.array([one in rows and one not in changed for one in ids], pa.bool_()))
    moved = [rows[one] for one in pairs["product_id"].to_pylist()]
    place = PAIR.get_field_index("product_row")
    pairs = pairs.set_column(place, PAIR.field(place), pa.array(moved, pa.int64()))
    pq.write_table(pairs, folder / "pairs.parquet", compression="ZSTD")
    return int(pairs.num_rows)


def _fold_judged(folder: Path, base: Catalog, rows: Mapping[str, int]) -> dict[str, int]:
    """Judgements of products that are still there, and the queries that have some."""
    left: dict[str, int] = {}
    known = pa.array(list(rows), pa.string())
    for path in sorted((base.path / "judged").glob("*.queries.parquet")):
        part = path.name.split(".")[0]
        qrels = pq.read_table(path.with_name(f"{part}.qrels.parquet"))
        qrels = qrels.filter(pc.is_in(qrels["product_id"], value_set=known))
        queries = pq.read_table(path)
        queries = queries.filter(pc.is_in(queries["query_id"], value_set=qrels["query_id"]))
        (folder / "judged").mkdir(exist_ok=True)
        pq.write_table(queries, folder / "judged" / path.name)
        pq.write_table(qrels, folder / "judged" / f"{part}.qrels.parquet")
        left[part] = queries.num_rows
    return left
