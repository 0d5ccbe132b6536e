"""Reads an ingested catalogue: products in one global order, images, pairs, judged queries.

A catalogue is an immutable folder; `product_row` is a product's place in its global order, and
a global image row counts images by (product_row, image_no).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xmodal.catalog.schema import PAIR, PRODUCT
from xmodal.errors import CatalogError, StorageError
from xmodal.storage import read_json, write_json_atomic

GLOSSARY = "glossary.json"
CHANGES_END = "changes_end"
_BATCH_ROWS = 256


@dataclass(frozen=True)
class Part:
    """One file of products."""

    name: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What an ingest made; written last, so a folder without it is none."""

    id: str
    fingerprint: str  # of all content: products, splits, pairs, judged queries
    source: str  # absolute folder or URI
    n_products: int
    n_images: int
    counts: dict[str, int]  # products by split
    parts: list[Part]
    n_pairs: int
    quarantine: dict[str, int]  # rows by reason
    made_val: bool  # val was cut from train here
    made_queries: dict[str, bool]  # by part: made of titles
    n_queries: dict[str, int]  # by part
    straddling: dict[str, int]  # products of a part that share an image with train
    near_duplicates: dict[str, dict[str, int]] = field(default_factory=dict)
    # by part and other part: products of the one with a near-duplicate in the other
    cannot_train: str = ""  # why nothing can be trained on it, and the mend; "" where it can
    created_at: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `manifest.json`."""
        write_json_atomic(folder / "manifest.json", asdict(self))


@dataclass(frozen=True)
class Judged:
    """Judged queries of one part."""

    queries: dict[str, str]  # query id to text; only queries that have a text
    qrels: dict[str, dict[str, int]]  # query id to product id to grade (0 to 3)
    made: bool  # made of titles, not judged by people
    langs: dict[str, str]  # query id to language
    images: dict[str, bytes] = field(default_factory=dict)  # query id to encoded image
    labels: dict[int, str] = field(default_factory=dict)  # what the set calls its grades


@dataclass(frozen=True)
class Catalog:
    """An ingested catalogue, opened for reading."""

    path: Path
    manifest: Manifest

    @property
    def n_products(self) -> int:
        """Rows of the global order."""
        return self.manifest.n_products

    @property
    def n_images(self) -> int:
        """Images of all products."""
        return self.manifest.n_images

    @property
    def changes_end(self) -> int:
        """The offset of the home's changes up to which it holds them; 0 of what was taken in."""
        return int(self.manifest.facts.get(CHANGES_END, "0"))

    def check_trainable(self) -> None:
        """Check that a model can be trained on it.

        Raises:
            CatalogError: saying why not.
        """
        if self.manifest.cannot_train:
            raise CatalogError(f"{self.manifest.source}: {self.manifest.cannot_train}")

    def products(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All products in global order; without images unless `columns` names them."""
        wanted = (
            list(columns) if columns is not None else [n for n in PRODUCT.names if n != "images"]
        )
        tables = [pq.read_table(path, columns=wanted) for path, _ in self._files()]
        empty = pa.schema([PRODUCT.field(name) for name in wanted]).empty_table()
        return pa.concat_tables([empty, *tables]).combine_chunks()

    def ids_of(self, split: str) -> set[str]:
        """Ids of the products of a split."""
        table = self.products(["product_id", "split"])
        return set(table.filter(pc.equal(table["split"], split))["product_id"].to_pylist())

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield all products in global order, a batch in memory at a time; attributes as a dict."""
        for path, _ in self._files():
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=list(columns)):
                    yield from batch.to_pylist(maps_as_pydicts="lossy")

    def images(self, start: int, stop: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield (product_row, image_no, encoded bytes) of the product rows [start, stop)."""
        first = 0
        for path, rows in self._files():
            if first < stop and first + rows > start:
                yield from _images(path, first, start, stop)
            first += rows

    def pairs(self, split: str = "train") -> pa.Table:
        """Training pairs (schema PAIR) of `train` or `val`; dev and test have none."""
        path = self.path / "pairs.parquet"
        if not path.exists():
            return PAIR.empty_table()
        return pq.read_table(path, filters=pc.field("split") == split)

    def judged(self, part: str) -> Judged:
        """Judged queries of a part; empty where it has none."""
        queries_path = self.path / "judged" / f"{part}.queries.parquet"
        if not queries_path.exists():
            return Judged({}, {}, False, {})
        queries = pq.read_table(queries_path).to_pylist()
        qrels: dict[str, dict[str, int]] = {row["query_id"]: {} for row in queries}
        labels: dict[int, str] = {}
        for row in pq.read_table(self.path / "judged" / f"{part}.qrels.parquet").to_pylist():
            qrels[row["query_id"]][row["product_id"]] = row["grade"]
            if row.get("label"):
                labels[row["grade"]] = row["label"]
        return Judged(
            queries={row["query_id"]: row["text"] for row in queries if row["text"]},
            qrels=qrels,
            made=self.manifest.made_queries.get(part, False),
            langs={row["query_id"]: row["lang"] for row in queries},
            images={row["query_id"]: row["image"] for row in queries if row["image"]},
            labels=labels,
        )

    def glossary(self) -> dict[str, dict[str, str]]:
        """The shop's Chinese terms, attribute to value to term; empty where it has none."""
        path = self.path / GLOSSARY
        content: Any = read_json(path) if path.exists() else {}
        return dict(content)

    def _files(self) -> Iterator[tuple[Path, int]]:
        for part in self.manifest.parts:
            yield self.path / "products" / part.name, part.rows


def open_catalog(path: Path) -> Catalog:
    """Open an ingested catalogue's folder.

    Raises:
        CatalogError: it is not one, or a file is missing.
    """
    try:
        content: Any = read_json(path / "manifest.json")
        parts = [Part(**part) for part in content.pop("parts")]
        manifest = Manifest(**content, parts=parts)
    except (StorageError, TypeError, KeyError, AttributeError) as error:
        raise CatalogError(f"{path}: not an ingested catalogue; run jobs/ingest.py") from error
    missing = [p.name for p in parts if not (path / "products" / p.name).exists()]
    if missing:
        raise CatalogError(f"{path}/products/{missing[0]} is missing; run jobs/ingest.py again")
    return Catalog(path, manifest)


def current_catalog(home: Path) -> Catalog:
    """The catalogue that the home's last ingest made.

    Raises:
        CatalogError: nothing was ingested yet.
    """
    path = home / "catalog.json"
    if not path.exists():
        raise CatalogError(f"{home}: no catalogue yet; run jobs/ingest.py --catalog <folder>")
    record = read_json(path)
    assert isinstance(record, dict)
    return open_catalog(home / "catalogs" / str(record["current"]))


def _images(path: Path, first: int, start: int, stop: int) -> Iterator[tuple[int, int, bytes]]:
    """Images of the rows of one file that lie in [start, stop); `first` is its first row."""
    with pq.ParquetFile(path) as file:
        row = first
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < stop and row + rows > start:
                batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=["images"])
                yield from _in_range(batches, row, start, stop)
            row += rows


def _in_range(
    batches: Iterator[pa.RecordBatch], row: int, start: int, stop: int
) -> Iterator[tuple[int, int, bytes]]:
    for batch in batches:
        low, high = max(start - row, 0), min(stop - row, batch.num_rows)
        for offset in range(low, high):
            for number, image in enumerate(batch.column(0)[offset].as_py() or ()):
                yield row + offset, number, image
        row += batch.num_rows
