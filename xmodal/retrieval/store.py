"""Feature stores: what an encoder gave for each picture of a catalogue, memory-mapped.

    <folder>/plan.json, shard-00000.arrow ..., store.json (written last: the store is whole)

A shard is one Arrow IPC record batch, written whole or not at all, so a killed embedding goes on
where it stopped. Rows are in the catalogue's global image order (product_row, image_no).
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmodal.errors import StorageError
from xmodal.fingerprint import of_json
from xmodal.storage import publish_file, read_json, write_json_atomic

What = Literal["trunk", "vector", "vector+tokens"]
Array = NDArray[np.generic]
Ints = NDArray[np.int64]

_PLACE = ("product_row", "image_no")
# Small shards lose little to a crash and show progress; large catalogues need few open maps.
_SHARD_PRODUCTS = 512
_MOST_SHARDS = 1024


@dataclass(frozen=True)
class FeatureBatch:
    """Features of B pictures, with the place of each in the catalogue."""

    product_row: Ints
    image_no: Ints
    arrays: dict[str, Array]  # each (B, ...)


@dataclass(frozen=True)
class Shard:
    """Product rows [start, stop) of the catalogue."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """What a store is to hold; shards made under another plan are not reused."""

    what: What
    encoder: str  # fingerprint of what the features depend on
    catalog: str  # fingerprint
    n_products: int

    def shards(self) -> list[Shard]:
        """All shards, in order."""
        size = max(_SHARD_PRODUCTS, -(-self.n_products // _MOST_SHARDS))
        starts = range(0, self.n_products, size)
        return [Shard(i, s, min(s + size, self.n_products)) for i, s in enumerate(starts)]


def vector_folder(home: Path, encoder: str, catalog: str) -> Path:
    """Where a home keeps vectors and tokens, by the fingerprints of encoder and catalogue.

    Evaluation, index build and reranker training share them: a pair is embedded once.
    """
    return home / "cache" / of_json([encoder, catalog]) / "vectors"


def begin_store(folder: Path, plan: Plan) -> list[Shard]:
    """The shards that are still to be written. What another plan left in `folder` is removed."""
    if read_plan(folder) != plan:
        for old in [folder / "store.json", *folder.glob("shard-*.arrow")]:
            old.unlink(missing_ok=True)
        write_json_atomic(folder / "plan.json", asdict(plan))
    return [shard for shard in plan.shards() if not shard_path(folder, shard.number).exists()]


def finish_store(folder: Path, plan: Plan) -> "FeatureStore":
    """Mark the store as whole, and open it.

    Raises:
        StorageError: a shard is missing or cut short.
    """
    missing = begin_store(folder, plan)
    if missing:
        raise StorageError(f"{folder}: shard {missing[0].number} is missing; run the job again")
    store = FeatureStore(folder, len(plan.shards()))
    write_json_atomic(folder / "store.json", {"shards": len(plan.shards()), "rows": store.rows})
    return store


def is_whole(folder: Path, plan: Plan) -> bool:
    """Whether `folder` holds a finished store of this very plan."""
    return (folder / "store.json").exists() and read_plan(folder) == plan


def read_plan(folder: Path) -> Plan | None:
    """The plan that a store was made under; None where there is none."""
    path = folder / "plan.json"
    if not path.exists():
        return None
    record = read_json(path)
    assert isinstance(record, dict)
    return Plan(**record)


def open_store(folder: Path) -> "FeatureStore":
    """Open a finished store.

    Raises:
        StorageError: it was not finished, or a shard is missing or cut short.
    """
    path = folder / "store.json"
    if not path.exists():
        raise StorageError(f"{folder}: no finished feature store; run the job that makes it again")
    record = read_json(path)
    assert isinstance(record, dict)
    return FeatureStore(folder, int(record["shards"]))


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies once it is written."""
    return folder / f"shard-{number:05d}.arrow"


def write_shard(folder: Path, number: int, batches: Iterable[FeatureBatch]) -> int:
    """Write one shard, whole or not at all. Returns its rows."""
    parts = list(batches)
    columns: dict[str, Array] = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, np.int64)])
        for name in _PLACE
    }
    for name in parts[0].arrays if parts else ():
        columns[name] = np.concatenate([part.arrays[name] for part in parts])
    fields = [_field(name, array) for name, array in columns.items()]
    values = [_column(array, field) for array, field in zip(columns.values(), fields, strict=True)]
    schema = pa.schema(fields)
    with (
        publish_file(shard_path(folder, number)) as beside,
        pa.OSFile(str(beside), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        writer.write_batch(pa.record_batch(values, schema=schema))
    return len(columns["product_row"])


class FeatureStore:
    """All rows of a store: memory-mapped, so opening costs nothing and pages are shared."""

    def __init__(self, folder: Path, n_shards: int) -> None:
        self.folder = folder
        self._shards = [_open_shard(shard_path(folder, i)) for i in range(n_shards)]
        self._shards = [shard for shard in self._shards if len(shard["product_row"])]
        sizes = [len(shard["product_row"]) for shard in self._shards]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.product_row: Ints = self._place("product_row")
        self.image_no: Ints = self._place("image_no")

    @property
    def rows(self) -> int:
        """Number of pictures N."""
        return int(self._starts[-1])

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [name for name in self._shards[0] if name not in _PLACE] if self._shards else []

    def take(self, rows: Ints, names: Sequence[str] | None = None) -> dict[str, Array]:
        """The features of `rows` (any order, repeats allowed), as fresh arrays (len(rows), ...)."""
        rows = np.asarray(rows, dtype=np.int64)
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        taken = {name: self._empty(name, len(rows)) for name in names or self.names}
        for shard in np.unique(shard_of):
            here = np.flatnonzero(shard_of == shard)
            local = rows[here] - self._starts[shard]
            for name, out in taken.items():
                out[here] = self._shards[shard][name][local]
        return taken

    def column(self, name: str) -> Array:
        """One feature of all rows, (N, ...), read into memory."""
        if not self._shards:
            return np.zeros((0, 0), np.float32)
        return np.concatenate([shard[name] for shard in self._shards])

    def _empty(self, name: str, rows: int) -> Array:
        array = self._shards[0][name]
        return np.empty((rows, *array.shape[1:]), array.dtype)

    def _place(self, name: str) -> Ints:
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *(shard[name] for shard in self._shards)]).astype(np.int64)


def _field(name: str, array: Array) -> pa.Field:
    value = pa.from_numpy_dtype(array.dtype)
    kind = pa.list_(value, prod(array.shape[1:])) if array.ndim > 1 else value
    return pa.field(name, kind, metadata={"shape": ",".join(map(str, array.shape[1:]))})


def _column(array: Array, field: pa.Field) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    if array.ndim == 1:
        return flat
    return pa.FixedSizeListArray.from_arrays(flat, type=field.type)


def _open_shard(path: Path) -> dict[str, Array]:
    """Views of a shard's columns on the mapped file."""
    try:
        with pa.memory_map(os.fspath(path)) as source:
            batch: Any = pa.ipc.open_file(source).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{path}: cannot be read ({error}); remove it and run again") from error
    arrays: dict[str, Array] = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        shape = [int(n) for n in field.metadata[b"shape"].decode().split(",") if n]
        flat = column.flatten() if shape else column
        arrays[field.name] = flat.to_numpy(zero_copy_only=True).reshape(-1, *shape)
    return arrays
