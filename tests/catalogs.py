"""Tiny ingested catalogues, written straight in the form that `Catalog` reads."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.factories import make_picture
from xmodal.catalog.schema import PRODUCT, QREL, QUERY
from xmodal.catalog.store import Catalog, Manifest, Part, open_catalog
from xmodal.fingerprint import of_json


def make_product(number: int, **changes: object) -> dict[str, object]:
    """A product with one picture; its colour is its title's first word."""
    colour = ("red", "blue", "green")[number % 3]
    product: dict[str, object] = {
        "product_id": f"p{number:03d}",
        "title": f"{colour} shoe {number}",
        "images": [make_picture(number)],
        "attributes": [("colour", colour)],
        "description": "",
        "price": None,
        "url": "",
        "lang": "en",
        "split": "train",
    }
    return product | changes


def make_catalog(
    folder: Path,
    products: Sequence[dict[str, object]],
    judged: dict[str, dict[str, dict[str, int]]] | None = None,
    made: bool = False,
) -> Catalog:
    """Write and open a catalogue; `judged` is part to query text to product_id to grade."""
    (folder / "products").mkdir(parents=True)
    (folder / "judged").mkdir()
    table = pa.Table.from_pylist(list(products), schema=PRODUCT)
    pq.write_table(table, folder / "products" / "part-00000.parquet", row_group_size=7)
    for part, queries in (judged or {}).items():
        _write_judged(folder / "judged", part, queries)
    titles = [[p["product_id"], p["title"], p["split"]] for p in products]
    manifest = Manifest(
        id="tiny",
        fingerprint=of_json([titles, judged]),
        source=str(folder),
        n_products=len(products),
        n_images=sum(len(p["images"]) for p in products),  # type: ignore[arg-type]
        counts={"train": len(products)},
        parts=[Part("part-00000.parquet", len(products))],
        n_pairs=0,
        quarantine={},
        made_val=False,
        made_queries=dict.fromkeys(judged or {}, made),
        n_queries={part: len(queries) for part, queries in (judged or {}).items()},
        straddling={},
    )
    manifest.write(folder)
    return open_catalog(folder)


def _write_judged(folder: Path, part: str, queries: dict[str, dict[str, int]]) -> None:
    asked = [
        {"query_id": q, "text": q, "image": None, "lang": "en" if q.isascii() else "zh"}
        for q in queries
    ]
    rows = [
        {"query_id": q, "product_id": product, "grade": grade}
        for q, grades in queries.items()
        for product, grade in grades.items()
    ]
    pq.write_table(pa.Table.from_pylist(asked, schema=QUERY), folder / f"{part}.queries.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=QREL), folder / f"{part}.qrels.parquet")
