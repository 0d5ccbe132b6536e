"""Product metadata of an index version: memory-mapped Arrow, read by row or by product id."""

import bisect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmodal.errors import UnknownProduct
from xmodal.index.layout import BY_ID, PRODUCTS

BATCH_ROWS = 65_536
SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("title", pa.string()),
        ("attributes", pa.string()),
        ("description", pa.string()),
        ("price", pa.float64()),
        ("url", pa.string()),
        ("lang", pa.string()),
    ]
)


@dataclass(frozen=True)
class Product:
    """What a page shows of one product."""

    row: int
    product_id: str
    title: str
    attributes: Mapping[str, str]
    description: str
    price: float | None
    url: str


class Products:
    """All products of a version in catalogue order; nothing is read before it is asked for."""

    def __init__(self, folder: Path) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(folder / PRODUCTS)))
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._by_id = np.load(folder / BY_ID, mmap_mode="r")
        self.count = sum(batch.num_rows for batch in self._batches)

    def column(self, name: str, rows: Sequence[int] | NDArray[np.int64]) -> list[Any]:
        """Values of one column at `rows`, in their order."""
        place = SCHEMA.get_field_index(name)
        return [
            self._batches[row // BATCH_ROWS].column(place)[row % BATCH_ROWS].as_py()
            for row in map(int, rows)
        ]

    def row_of(self, product_id: str) -> int | None:
        """Catalogue row of `product_id`, None where there is no such product."""
        at = bisect.bisect_left(self._by_id, product_id, key=self._id)
        if at < len(self._by_id) and self._id(self._by_id[at]) == product_id:
            return int(self._by_id[at])
        return None

    def known_row(self, product_id: str) -> int:
        """As `row_of`. Raises UnknownProduct where there is no such product."""
        row = self.row_of(product_id)
        if row is None:
            raise UnknownProduct(f"no product {product_id!r}")
        return row

    def product(self, row: int) -> Product:
        """Everything about the product in `row`."""
        values = {name: self.column(name, [row])[0] for name in SCHEMA.names if name != "lang"}
        values["attributes"] = json.loads(values["attributes"])
        return Product(row=row, **values)

    def _id(self, row: int) -> str:
        value: str = self.column("product_id", [row])[0]
        return value


def write_products(folder: Path, products: pa.Table) -> list[dict[str, str]]:
    """Write the metadata of the catalogue's `products`; returns their attributes in row order."""
    attributes = [dict(row or ()) for row in products["attributes"].to_pylist()]
    columns = {name: products[name] for name in SCHEMA.names if name != "attributes"}
    columns["attributes"] = pa.array(
        [json.dumps(row, ensure_ascii=False) for row in attributes], pa.string()
    )
    for name in ("title", "description", "url", "lang"):
        columns[name] = pa.compute.fill_null(columns[name], "")
    table = pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA).combine_chunks()
    with pa.OSFile(str(folder / PRODUCTS), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for start in range(0, table.num_rows, BATCH_ROWS):
            part = table.slice(start, BATCH_ROWS).combine_chunks()
            writer.write_batch(part.to_batches()[0])
    ids = products["product_id"].to_pylist()
    np.save(folder / BY_ID, np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64))
    return attributes
