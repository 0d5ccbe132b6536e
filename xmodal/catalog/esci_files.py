"""ESCI, the Shopping Queries data set, with the pictures that SQID or a shop has fetched for it.

    shopping_queries_dataset_products.parquet   what a product says, by locale
    shopping_queries_dataset_examples.parquet   query, product, esci_label, split
    product_image_urls.csv or .parquet          SQID: product_id, image_url (nothing is fetched)
    images/B07PBX5JQ9.jpg, 71fv4Dv5RaL.jpg      pictures, named by product or as the URL is
    pictures.parquet                            or as product_id, image (bytes)

Labels E, S, C, I are grades 3, 2, 1, 0 and are kept beside them. The small version (task 1, the
ranking) is what judges, where the file has one. Queries of its `test` are the judged queries of
our `test`, those of `train` become pairs. A product that any `test` query judges is held out, in
every locale; all others train. A product without a picture is searched by its text. Outside `us`
a product's id has its locale behind it (`B07PBX5JQ9-jp`), as one ASIN is sold in several.

Source: the READMEs of amazon-science/esci-data (arXiv 2206.06588) and of SQID (arXiv 2405.15190).
"""

import posixpath
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from xmodal.catalog import csv_files, parquet_files
from xmodal.catalog.judgements import Judgement
from xmodal.catalog.layout import Layout, Listing, Rows, SourceFile, pictures_in
from xmodal.catalog.rows import Columns, RawRow, RowFault, image_refs, match_columns
from xmodal.catalog.schema import Split
from xmodal.errors import CatalogError
from xmodal.settings import ColumnSettings

GRADES: Mapping[str, int] = {"E": 3, "S": 2, "C": 1, "I": 0}
_PARTS: Mapping[str, Split] = {"train": "train", "test": "test"}
_LANGS = {"us": "en", "es": "es", "jp": "ja"}
_PRODUCT = ("product_id", "product_title", "product_locale")
_EXAMPLE = ("query", "query_id", "product_id", "product_locale", "esci_label", "split")
_SMALL = "small_version"
_COLUMNS = Columns(
    {
        "product_id": "product_id",
        "title": "product_title",
        "description": "product_description",
        "lang": "lang",
        "split": "split",
    },
    ["images"],
    ["brand", "color", "locale"],
)


def recognise(listing: Listing, home: Path | None) -> Layout | None:
    """The layout of a folder with products and examples; None where it lacks either.

    Raises:
        CatalogError: one of the two lacks a column; it is named.
    """
    tables = {path: _names(listing.system, path) for path in listing.ending(".parquet")}
    products = [path for path, names in tables.items() if _is(path, names, "products")]
    examples = [path for path, names in tables.items() if _is(path, names, "examples")]
    if not products or not examples:
        return None
    for paths, needed in ((products, _PRODUCT), (examples, _EXAMPLE)):
        for path in paths:
            _check(listing.name(path), tables[path], needed)
    is_small = all(_has_small(listing.system, path, tables[path]) for path in examples)
    others = [path for path in tables if path not in (*products, *examples)]
    shop = _Shop(listing, examples, others, home, is_small)
    files = tuple(
        SourceFile(path, listing.name(path), _COLUMNS, parquet_files.measure(listing.system, path))
        for path in products
    )
    version = "small version (task 1, ranking)" if is_small else "large version"
    labels = {grade: label for label, grade in GRADES.items()}
    notes = (f"ESCI: judged by its {version}; labels {', '.join(GRADES)} are grades 3 to 0",)
    return Layout("esci", files, shop.read_rows, shop.judgements, labels, notes)


class _Shop:
    """The set's files, and what is known of its products from beside them."""

    def __init__(
        self,
        listing: Listing,
        examples: list[str],
        others: list[str],
        home: Path | None,
        is_small: bool,
    ) -> None:
        self._listing, self._home, self._is_small = listing, home, is_small
        self._examples, self._others = examples, others

    def read_rows(self, system: fs.FileSystem, file: SourceFile) -> Rows:
        """Yield the products of a file, with the pictures that are there."""
        held_out, pictures = self._held_out(system), self._pictures(system)
        beside = posixpath.dirname(file.name)
        for raw, done in parquet_files.read_rows(system, file.path, file.name):
            cells = dict(raw.cells)
            locale, asin = str(cells.get("product_locale")), str(cells.get("product_id"))
            images = pictures.of(asin)
            cells |= {
                "product_id": _id(asin, locale) if cells.get("product_id") else None,
                "lang": _LANGS.get(locale, ""),
                "split": "test" if asin in held_out else "train",
                "brand": cells.get("product_brand"),
                "color": cells.get("product_color"),
                "locale": locale,
                "images": [
                    posixpath.relpath(x, beside) if isinstance(x, str) else x for x in images
                ],
            }
            yield replace(raw, cells=cells), done

    def judgements(self, system: fs.FileSystem) -> Iterator[Judgement]:
        """Every example of the version that judges."""
        for path in self._examples:
            name = self._listing.name(path)
            for raw, _ in parquet_files.read_rows(system, path, name):
                if raw.fault is None and self._is_small and raw.cells.get(_SMALL) != 1:
                    continue
                yield _judgement(raw)

    def _held_out(self, system: fs.FileSystem) -> set[str]:
        """The products that a query of `test` judges."""
        found: set[str] = set()
        columns = ["product_id", "split", *([_SMALL] if self._is_small else [])]
        for path in self._examples:
            with pq.ParquetFile(system.open_input_file(path), pre_buffer=False) as file:
                for batch in file.iter_batches(columns=columns):
                    is_test = pc.equal(batch["split"], "test")
                    if self._is_small:
                        is_test = pc.and_(is_test, pc.equal(batch[_SMALL], 1))
                    found.update(batch["product_id"].filter(is_test).to_pylist())
        return found

    def _pictures(self, system: fs.FileSystem) -> "_Pictures":
        """The pictures that lie in the folder: by file, and in Parquet."""
        pictures = _Pictures(self._home)
        for folder in sorted(self._listing.pictures):
            for name in pictures_in(system, posixpath.join(self._listing.folder, folder)):
                pictures.files[posixpath.splitext(name)[0]] = posixpath.join(folder, name)
        for path in self._others:
            pictures.take_table(system, path, self._listing.name(path))
        for path in self._listing.ending(".csv"):
            for raw, _ in csv_files.read_rows(system, path, self._listing.name(path)):
                pictures.take_url(raw)
        return pictures


class _Pictures:
    """Where each product's pictures are: files by name, bytes of Parquet files on disk."""

    def __init__(self, home: Path | None) -> None:
        self.files: dict[str, str] = {}  # a name without its ending to the path, relative
        self._url_names: dict[str, str] = {}  # product to its URL's name without the ending
        self._places: dict[str, list[tuple[int, int]]] = {}
        # The pictures may be larger than memory, and products come in another order.
        folder = home if home and home.is_dir() else None
        self._spool = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # open while read

    def of(self, asin: str) -> list[bytes | str]:
        """The pictures of a product: bytes, or one path relative to the set's folder."""
        if asin in self._places:
            return [self._read(*place) for place in self._places[asin]]
        path = self.files.get(asin) or self.files.get(self._url_names.get(asin, ""))
        return [path] if path else []

    def take_table(self, system: fs.FileSystem, path: str, name: str) -> None:
        """Take in a Parquet file of URLs or of pictures; any other is passed by."""
        names = parquet_files.column_names(system, path)
        columns = match_columns(names, ColumnSettings(), name)
        if columns is not None and columns.images:
            for raw, _ in parquet_files.read_rows(system, path, name):
                refs = [
                    ref for column in columns.images for ref in image_refs(raw.cells.get(column))
                ]
                asin = str(raw.cells.get(columns.roles["product_id"]))
                for content in (ref for ref in refs if isinstance(ref, bytes)):
                    place = (self._spool.tell(), len(content))
                    self._places.setdefault(asin, []).append(place)
                    self._spool.write(content)
        elif {"product_id", "image_url"} <= set(names):
            for raw, _ in parquet_files.read_rows(system, path, name):
                self.take_url(raw)

    def take_url(self, raw: RawRow) -> None:
        """Note under which name a product's picture would have been fetched."""
        url, asin = raw.cells.get("image_url"), raw.cells.get("product_id")
        if asin and isinstance(url, str) and url:
            name = unquote(posixpath.basename(urlsplit(url).path))
            self._url_names[str(asin)] = posixpath.splitext(name)[0]

    def _read(self, start: int, size: int) -> bytes:
        self._spool.seek(start)
        return self._spool.read(size)


def _judgement(raw: RawRow) -> Judgement:
    cells = {name: str(raw.cells[name] or "").strip() for name in _EXAMPLE if name in raw.cells}
    blank = Judgement(raw.file, raw.row, fault=raw.fault)
    if raw.fault is not None:
        return blank
    label, split, asin = cells["esci_label"], cells["split"], cells["product_id"]
    fault = None
    if label not in GRADES:
        fault = RowFault("esci_label", f"label {label[:40]!r}; use E, S, C or I")
    elif split not in _PARTS:
        fault = RowFault("split", f"split {split[:40]!r}; use train or test")
    return replace(
        blank,
        part=_PARTS.get(split, "train"),
        query_id=cells["query_id"],
        text=cells["query"],
        grades={_id(asin, cells["product_locale"]): GRADES.get(label, 0)},
        lang=_LANGS.get(cells["product_locale"], ""),
        fault=fault,
    )


def _id(asin: str, locale: str) -> str:
    return asin if locale == "us" else f"{asin}-{locale}"


def _names(system: fs.FileSystem, path: str) -> list[str]:
    """The columns of a Parquet file; none of one that is damaged: plain reading says so."""
    try:
        return parquet_files.column_names(system, path)
    except CatalogError:
        return []


def _is(path: str, names: Collection[str], kind: str) -> bool:
    """Whether a file is the set's: by a column that no other set has, or by its name."""
    is_named = path.endswith(f"shopping_queries_dataset_{kind}.parquet")
    own = {"product_title", "product_locale"} if kind == "products" else {"esci_label", "query"}
    return bool(names) and (is_named or own <= set(names))


def _check(name: str, names: Collection[str], needed: Collection[str]) -> None:
    lacking = [column for column in needed if column not in names]
    if lacking:
        raise CatalogError(
            f"{name}: lacks the column {', '.join(lacking)}; ESCI's has {', '.join(needed)}"
        )


def _has_small(system: fs.FileSystem, path: str, names: Collection[str]) -> bool:
    """Whether any example is of the small version."""
    if _SMALL not in names:
        return False
    with pq.ParquetFile(system.open_input_file(path), pre_buffer=False) as file:
        batches = file.iter_batches(columns=[_SMALL])
        return any(pc.any(pc.equal(batch[_SMALL], 1)).as_py() for batch in batches)
