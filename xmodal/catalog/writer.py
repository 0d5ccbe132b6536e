"""Writes products and quarantine as they come, in bounded memory."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xmodal.catalog.rows import Draft
from xmodal.catalog.schema import PRODUCT, QUARANTINE
from xmodal.catalog.store import Part

_GROUP_ROWS = 1024
_GROUP_BYTES = 32 << 20
_PART_ROWS = 16_384
_PART_BYTES = 512 << 20
_FLUSH_FAULTS = 4096


class ProductWriter:
    """Parts of products, in the order in which they come; rolls over by rows and bytes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._rows: list[dict[str, object]] = []
        self._bytes = 0
        self._part_bytes = 0
        self._file: pq.ParquetWriter | None = None
        self.parts: list[Part] = []

    def add(self, draft: Draft, images: Sequence[bytes]) -> None:
        """Append a product."""
        row: dict[str, object] = {name: getattr(draft, name) for name in _PLAIN}
        row |= {"images": list(images), "attributes": list(draft.attributes.items())}
        self._rows.append(row)
        self._bytes += sum(map(len, images))
        if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the last part."""
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._file is None:
            name = f"part-{len(self.parts):05d}.parquet"
            self._file = open_products(self._folder / name)
            self.parts.append(Part(name, 0))
            self._part_bytes = 0
        last = self.parts[-1]
        self._file.write_table(pa.Table.from_pylist(self._rows, schema=PRODUCT))
        self.parts[-1] = dataclasses.replace(last, rows=last.rows + len(self._rows))
        self._part_bytes += self._bytes
        self._rows, self._bytes = [], 0
        if self.parts[-1].rows >= _PART_ROWS or self._part_bytes >= _PART_BYTES:
            self._file.close()
            self._file = None


def open_products(path: Path) -> pq.ParquetWriter:
    """A writer of one part; images are compressed already."""
    compression = dict.fromkeys(_PLAIN, "ZSTD")
    compression |= {"images.list.element": "NONE"}
    return pq.ParquetWriter(path, PRODUCT, compression=compression, use_dictionary=_WORDS)


def rewrite_splits(folder: Path, parts: Sequence[Part], split_of: Callable[[int], str]) -> None:
    """Give every product of the global order the split that `split_of` its row says."""
    row = 0
    place = PRODUCT.get_field_index("split")
    for part in parts:
        path, beside = folder / part.name, folder / f"{part.name}.new"
        with open_products(beside) as new:
            for table in _groups(path):
                splits = [split_of(row + offset) for offset in range(table.num_rows)]
                new.write_table(
                    table.set_column(place, PRODUCT.field(place), pa.array(splits, pa.string()))
                )
                row += table.num_rows
        beside.replace(path)


class Quarantine:
    """What could not become a product, one file a reason; whole after `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: Counter[str] = Counter()  # rows that are out, by reason
        self.dropped_images = 0  # bad images of products that have good ones too
        self._waiting: dict[str, list[dict[str, object]]] = {}
        self._files: dict[str, pq.ParquetWriter] = {}

    def add(self, draft: Draft, reason: str, detail: str, is_kept: bool = False) -> None:
        """Note a row, or (`is_kept`) one image of a product that stays."""
        if is_kept:
            self.dropped_images += 1
        else:
            self.rows[reason] += 1
        entry: dict[str, object] = {
            "file": draft.file,
            "row": draft.row,
            "product_id": draft.product_id,
            "reason": reason,
            "detail": detail.encode("utf-8", "replace").decode()[:500],
            "kept": is_kept,
        }
        self._waiting.setdefault(reason, []).append(entry)
        if len(self._waiting[reason]) >= _FLUSH_FAULTS:
            self._flush(reason)

    def close(self) -> None:
        """Finish all files."""
        for reason in list(self._waiting):
            self._flush(reason)
        for file in self._files.values():
            file.close()
        self._files = {}

    def _flush(self, reason: str) -> None:
        rows = self._waiting.pop(reason)
        if reason not in self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._files[reason] = pq.ParquetWriter(self.folder / f"{reason}.parquet", QUARANTINE)
        self._files[reason].write_table(pa.Table.from_pylist(rows, schema=QUARANTINE))


def _groups(path: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


_PLAIN = tuple(name for name in PRODUCT.names if name not in ("images", "attributes"))
_WORDS = ["lang", "split", "attributes.key_value.key", "attributes.key_value.value"]
