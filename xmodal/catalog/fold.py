"""Folds a home's changes into a catalogue of their own, from which the next index is built.

    catalogue taken in + journal of changes -> <home>/catalogs/<id>, and where each row came from

Files of products in which nothing changed are shared by a hard link, the others written anew.
The catalogue that was taken in stays, and stays current: training goes on with its pairs. A word
in the journal counts more than the shop's files, older or newer. The folded one says up to which
offset it holds the changes; what comes later lies over its index until the next build.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xmodal.catalog.changes import Change, Changes, products_folder
from xmodal.catalog.schema import PAIR, PRODUCT, SPLITS
from xmodal.catalog.store import CHANGES_END, GLOSSARY, Catalog, Part, open_catalog
from xmodal.catalog.writer import open_products
from xmodal.fingerprint import of_json
from xmodal.journal import Journal
from xmodal.storage import scratch, settle

BASE = "folded_into"
NEW = -1  # origin of a row that the journal wrote
_ORIGIN = "origin.npy"
_BATCH_ROWS = 1024
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


@dataclass
class _Folded:
    """What has been written so far, in the new global order."""

    parts: list[Part] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)  # product id to its row
    origin: list[int] = field(default_factory=list)
    splits: Counter[str] = field(default_factory=Counter)
    n_images: int = 0

    def add(self, product_id: str, split: str, origin: int) -> None:
        self.rows[product_id] = len(self.rows)
        self.origin.append(origin)
        self.splits[split] += 1


def _write(
    folder: Path, name: str, base: Catalog, changes: Changes, newest: Mapping[str, Change]
) -> None:
    folded = _fold_products(folder / "products", base, changes, newest)
    np.save(folder / _ORIGIN, np.array(folded.origin, np.int64))
    if (base.path / GLOSSARY).exists():
        copyfile(base.path / GLOSSARY, folder / GLOSSARY)
    replace(
        base.manifest,
        id=name,
        fingerprint=name,
        n_products=len(folded.rows),
        n_images=folded.n_images,
        counts={split: folded.splits[split] for split in SPLITS if folded.splits[split]},
        parts=folded.parts,
        n_pairs=_fold_pairs(folder, base, folded.rows, set(newest)),
        n_queries=_fold_judged(folder, base, folded.rows),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        facts=base.manifest.facts | {CHANGES_END: str(changes.end), BASE: base.manifest.id},
    ).write(folder)


def _fold_products(
    folder: Path, base: Catalog, changes: Changes, newest: Mapping[str, Change]
) -> _Folded:
    """A part in which nothing changed is the very file of before; new products are a part more."""
    folder.mkdir()
    folded = _Folded(n_images=base.n_images)
    place = 0
    for part in base.manifest.parts:
        path = base.path / "products" / part.name
        known = pq.read_table(path, columns=["product_id", "split"])
        pairs = list(zip(*(known[name].to_pylist() for name in known.column_names), strict=True))
        if any(product_id in newest for product_id, _ in pairs):
            _write_part(folder / part.name, _changed(path, place, changes, newest, folded), folded)
        else:
            _link(path, folder / part.name)
            folded.parts.append(part)
            for number, (product_id, split) in enumerate(pairs):
                folded.add(product_id, split, place + number)
        place += part.rows
    seen = set(base.products(["product_id"])["product_id"].to_pylist())
    added = [one for name, one in newest.items() if name not in seen and one.facts is not None]
    rows = ((_row(change, changes, "train"), NEW) for change in added)
    _write_part(folder / f"added-{changes.end}.parquet", rows, folded)
    return folded


def _changed(
    path: Path, place: int, changes: Changes, newest: Mapping[str, Change], folded: _Folded
) -> Iterator[_Placed]:
    """Yield the products of a part that are still there, and the row each comes from."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            for row in batch.to_pylist():
                change = newest.get(row["product_id"])
                folded.n_images -= len(row["images"] or ())
                if change is None:
                    yield row, place
                elif change.facts is not None:
                    yield _row(change, changes, row["split"]), NEW
                place += 1


def _write_part(path: Path, rows: Iterator[_Placed], folded: _Folded) -> None:
    """Write `rows` as one part; none where there are no rows."""
    count = 0
    with open_products(path) as writer:
        while some := list(islice(rows, _BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist([row for row, _ in some], PRODUCT))
            count += len(some)
            for row, origin in some:
                folded.add(row["product_id"], row["split"], origin)
                folded.n_images += len(row["images"] or ())
    if count:
        folded.parts.append(Part(path.name, count))
    else:
        path.unlink()


def _link(path: Path, final: Path) -> None:
    """The same file under another name: no catalogue is ever written to."""
    try:
        os.link(path, final)
    except OSError:  # another file system, or one that knows no links
        copyfile(path, final)


def _row(change: Change, changes: Changes, split: str) -> dict[str, Any]:
    assert change.facts is not None
    row = asdict(change.facts) | {"images": changes.pictures(change), "split": split}
    row["attributes"] = list(change.facts.attributes.items())
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
