"""Recognises a catalogue folder by its content and streams its rows.

ESCI's two tables; else Parquet files (in the folder, or below) that hold products; else one CSV
beside its images; else MUGE's pictures in TSV; else tar shards; else a tree of pictures alone.
Everything else in the folder is left alone, hidden folders and the home above all.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from xmodal.catalog import (
    csv_files,
    esci_files,
    muge_files,
    parquet_files,
    picture_files,
    tar_files,
)
from xmodal.catalog.images import MAX_BYTES, ImageFault
from xmodal.catalog.judgements import Judgement
from xmodal.catalog.layout import Layout, Listing, Rows, SourceFile
from xmodal.catalog.rows import Columns, RawRow, match_columns
from xmodal.errors import CatalogError, HomeError, StorageError
from xmodal.settings import ColumnSettings
from xmodal.storage import Place, filesystem

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MEND = 'see the README\'s "Your own catalogue" for the form'


@dataclass(frozen=True)
class Source:
    """A recognised catalogue folder."""

    system: fs.FileSystem
    folder: str  # its path in `system`
    uri: str  # that a person knows it by: the path, or one with its scheme
    layout: Layout

    def rows(self) -> Iterator[tuple[RawRow, Columns, float]]:
        """Yield every row, its file's columns, and the share of the source read so far."""
        total = sum(file.size for file in self.layout.files) or 1
        before = 0
        for file in self.layout.files:
            for raw, done in self.layout.read(self.system, file):
                yield raw, file.columns, (before + done) / total
            before += file.size

    def judgements(self) -> Iterator[Judgement]:
        """Yield the judgements that the folder's own layout has; none of most."""
        if self.layout.judgements is not None:
            yield from self.layout.judgements(self.system)

    def read_image(self, file: str, path: str) -> bytes:
        """Bytes of an image that `file` names by a path relative to itself.

        Raises:
            ImageFault: `image_missing` or `image_huge`.
            OSError: the disk is full.
        """
        try:
            for system, place in self._places(file, path):
                info = system.get_file_info(place)
                if info.type == fs.FileType.File:
                    if info.size > MAX_BYTES:
                        raise ImageFault("image_huge", f"{path[:200]}: {info.size >> 20} MB")
                    with system.open_input_file(place) as stream:
                        return bytes(stream.read())
        except (OSError, pa.ArrowInvalid, StorageError) as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise
            reason = " ".join(str(error).split())
            raise ImageFault("image_missing", f"{path[:200]}: {reason[:200]}") from error
        raise ImageFault("image_missing", f"{path[:200]}: no such file")

    def _places(self, file: str, path: str) -> Iterator[Place]:
        """Where a cell of `file` may mean: a URI, or a path relative to the file."""
        scheme, is_uri, rest = path.partition("://")
        if not is_uri:
            beside = PurePosixPath(self.folder) / PurePosixPath(file).parent
            forms = dict.fromkeys((path, path.replace("\\", "/")))
            places = (normpath(beside / form) for form in forms if "\0" not in form)
            yield from ((self.system, place) for place in places)
        elif scheme.lower() in ("http", "https"):
            raise ImageFault("image_missing", f"{path[:200]}: is not fetched; store it beside")
        elif scheme == "file":
            yield filesystem(path)
        elif self.uri.startswith(f"{scheme}://") and not self.folder.startswith("/"):
            yield self.system, rest  # of the same store, with the same way in
        else:
            bucket, _, key = rest.partition("/")
            system, place = _bucket(f"{scheme}://{bucket}")
            yield system, f"{place}/{key}"


def find_source(uri: str, columns: ColumnSettings, home: Path | None = None) -> Source:
    """Recognise the catalogue at `uri`: a folder, or one Parquet or CSV file.

    A `home` that lies inside the folder is no part of the shop.

    Raises:
        CatalogError: it does not exist, or holds no products that we know to read.
        HomeError: it is the home.
    """
    try:
        return _recognised(uri, columns, home)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise CatalogError(f"catalogue {uri}: cannot be read ({reason})") from error


def walk(place: Place, home: Path | None) -> Iterator[fs.FileInfo]:
    """Files of a folder and of those below, in order; hidden folders and `home` are passed by.

    Raises:
        OSError: a folder cannot be read.
    """
    system, folder = place
    is_local = isinstance(system, fs.LocalFileSystem)
    seen = {os.path.realpath(home)} if home is not None else set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(here) if is_local else here
        if real in seen:  # the home, or a link that leads back
            continue
        seen.add(real)
        for info in sorted(system.get_file_info(fs.FileSelector(here)), key=lambda i: str(i.path)):
            if info.type == fs.FileType.File:
                yield info
            elif not info.base_name.startswith("."):
                waiting.append(info.path)


def known_as(uri: str, system: fs.FileSystem, folder: str) -> str:
    """The folder with its scheme where it is not local; without a password that the URI holds."""
    if isinstance(system, fs.LocalFileSystem):
        return folder
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2] if folder.startswith("/") else ""
    return f"{parts.scheme}://{host}{folder}"


def _recognised(uri: str, columns: ColumnSettings, home: Path | None) -> Source:
    system, place = _place(uri)
    info = system.get_file_info(place)
    if info.type == fs.FileType.NotFound:
        raise CatalogError(f"catalogue {uri}: no such folder; give one by --catalog <folder>")
    if info.type == fs.FileType.File:
        folder, paths = str(PurePosixPath(place).parent), iter([place])
    else:
        folder, paths = place, (str(info.path) for info in walk((system, place), home))
    if home is not None and os.path.realpath(home) == folder:
        raise HomeError(f"catalogue {uri}: lies in the home itself; XMODAL_HOME=<another folder>")
    listing = Listing(system, folder)
    for path in paths:
        listing.add(path)
    layout = _layout(listing, columns, home)
    if layout is None:
        raise CatalogError(f"catalogue {uri}: {_why_none(listing)}; {_MEND}")
    if layout.kind == "csv" and len(layout.files) > 1:
        names = ", ".join(file.name for file in layout.files)
        raise CatalogError(f"catalogue {uri}: several CSV files hold products ({names}); leave one")
    return Source(system, folder, known_as(uri, system, folder), layout)


def _layout(listing: Listing, columns: ColumnSettings, home: Path | None) -> Layout | None:
    """The first layout that knows the folder."""
    return (
        esci_files.recognise(listing, home)
        or _plain(listing, columns)
        or muge_files.recognise(listing)
        or tar_files.recognise(listing, columns)
        or picture_files.recognise(listing)
    )


def _plain(listing: Listing, columns: ColumnSettings) -> Layout | None:
    """The layout of Parquet files of products, else of CSV files."""
    tables = _products(listing, listing.ending(".parquet"), columns)
    sheets = _products(listing, listing.ending(".csv"), columns)
    if tables:
        notes = (f"{sheets[0].name} was left alone: the Parquet files were read",) if sheets else ()
        return Layout("parquet", tuple(tables), _read_table, notes=notes)
    return Layout("csv", tuple(sheets), _read_sheet) if sheets else None


def _read_table(system: fs.FileSystem, file: SourceFile) -> Rows:
    return parquet_files.read_rows(system, file.path, file.name)


def _read_sheet(system: fs.FileSystem, file: SourceFile) -> Rows:
    return csv_files.read_rows(system, file.path, file.name)


def _place(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        return filesystem(uri)
    except StorageError as error:
        raise CatalogError(f"catalogue {error}") from error


@lru_cache(maxsize=64)
def _bucket(root: str) -> Place:
    """A store's file system: opening one asks the network."""
    return filesystem(root)


def _products(listing: Listing, paths: list[str], columns: ColumnSettings) -> list[SourceFile]:
    """The files among `paths` that hold products; a CSV that cannot count only where none can."""
    found: list[SourceFile] = []
    faults: list[CatalogError] = []
    for path in paths:
        is_table = path.endswith(".parquet")
        reader = parquet_files if is_table else csv_files
        name, system = listing.name(path), listing.system
        names = [] if not is_table else reader.column_names(system, path)
        try:
            names = names or reader.column_names(system, path)
            matched = match_columns(names, columns, name)
        except CatalogError as error:
            faults.append(error)
            continue
        if matched is not None:
            found.append(SourceFile(path, name, matched, reader.measure(system, path)))
    if faults and not found:
        raise faults[0]
    return found


def _why_none(listing: Listing) -> str:
    tables = listing.ending(".parquet", ".csv")
    if not tables:
        return "no Parquet, CSV, *_imgs.tsv or tar file of products in it, and no picture"
    reader = parquet_files if tables[0].endswith(".parquet") else csv_files
    have = ", ".join(reader.column_names(listing.system, tables[0])[:12])
    return (
        f"{PurePosixPath(tables[0]).name} has the columns {have}; it needs product_id (or id) and"
        " title or image (map other names by catalog.columns)"
    )
