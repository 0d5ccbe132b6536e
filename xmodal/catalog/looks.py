"""What each picture of a catalogue looks like, in hashes: written by the ingest, read by audits.

Shapes: N pictures, in the catalogue's order.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xmodal.catalog.images import check_image
from xmodal.catalog.splits import Traits
from xmodal.catalog.store import Catalog

_FILE = "looks.parquet"
_CHUNK = 512  # encoded pictures in memory


@dataclass(frozen=True)
class Looks:
    """Hashes of N pictures."""

    product_row_N: NDArray[np.int64]
    pixels: list[str]  # fingerprint of the decoded pixels: equal for the same picture
    looks: list[bytes]  # 64-bit difference hash (8 bytes, little endian), then 16 RGB colours


def write_looks(folder: Path, traits: Traits) -> None:
    """Write `looks.parquet` beside the products."""
    counts = [len(looks) for looks in traits.looks]
    columns = {
        "product_row": np.repeat(np.arange(len(counts)), counts).astype(np.int64),
        "pixels": [pixels for mine in traits.pixels for pixels in mine],
        "look": [look for looks in traits.looks for look in looks],
    }
    table = pa.table({**columns, "pixels": pa.array(columns["pixels"], pa.string())})
    pq.write_table(table, folder / _FILE)


def looks_of(catalog: Catalog) -> Looks:
    """The looks of all pictures; decoded again where an older ingest has left none."""
    path = catalog.path / _FILE
    if not path.exists():
        return _looked_at(catalog)
    table = pq.read_table(path)
    rows = table["product_row"].to_numpy().astype(np.int64)
    return Looks(rows, table["pixels"].to_pylist(), table["look"].to_pylist())


def _looked_at(catalog: Catalog) -> Looks:
    rows: list[int] = []
    pixels: list[str] = []
    looks: list[bytes] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = catalog.images(0, catalog.n_products)
        while chunk := list(islice(images, _CHUNK)):
            rows += [row for row, _, _ in chunk]
            for found in pool.map(_look, (content for _, _, content in chunk)):
                pixels.append(found[0])
                looks.append(found[1])
    return Looks(np.array(rows, np.int64), pixels, looks)


def _look(content: bytes) -> tuple[str, bytes]:
    picture = check_image(content, 1 << 62)  # the ingest has taken it, whatever its size
    return picture.pixels, picture.dhash.to_bytes(8, "little") + picture.colours
