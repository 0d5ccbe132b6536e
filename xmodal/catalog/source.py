"""Recognises a catalogue folder by its content and streams its rows.

Parquet files (in the folder, or one level below) that hold products; else one CSV beside its
images. Everything else in the folder is left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyarrow import fs

from xmodal.catalog import csv_files, parquet_files
from xmodal.catalog.images import MAX_BYTES, ImageFault
from xmodal.catalog.rows import Columns, RawRow, match_columns
from xmodal.errors import CatalogError, StorageError
from xmodal.settings import ColumnSettings
from xmodal.storage import filesystem

_MEND = 'see the README\'s "Your own catalogue" for the form'


@dataclass(frozen=True)
class SourceFile:
    """One file of products."""

    path: str
    name: str  # relative to the folder
    columns: Columns
    size: int  # rows of Parquet, bytes of CSV: what progress counts


@dataclass(frozen=True)
class Source:
    """A recognised catalogue folder."""

    system: fs.FileSystem
    folder: str
    kind: str  # `parquet` or `csv`
    files: tuple[SourceFile, ...]
    notes: tuple[str, ...] = ()

    def rows(self) -> Iterator[tuple[RawRow, Columns, float]]:
        """Yield every row, its file's columns, and the share of the source read so far."""
        total = sum(file.size for file in self.files) or 1
        before = 0
        for file in self.files:
            if self.kind == "csv":
                for raw, done in csv_files.read_rows(self.system, file.path, file.name):
                    yield raw, file.columns, (before + done) / total
            else:
                for raw in parquet_files.read_rows(self.system, file.path, file.name):
                    yield raw, file.columns, (before + raw.row) / total
            before += file.size

    def read_image(self, file: str, path: str) -> bytes:
        """Bytes of an image that `file` names by a path relative to itself.

        Raises:
            ImageFault: `image_missing` or `image_huge`.
        """
        if "://" in path:
            raise ImageFault("image_missing", f"{path[:200]}: is not fetched; store it beside")
        beside = PurePosixPath(self.folder) / PurePosixPath(file).parent
        for form in (path, path.replace("\\", "/")):
            found = str(beside / form)
            info = self.system.get_file_info(found) if "\0" not in found else None
            if info is not None and info.type == fs.FileType.File:
                if info.size > MAX_BYTES:
                    raise ImageFault("image_huge", f"{path}: {info.size >> 20} MB")
                with self.system.open_input_file(found) as stream:
                    return bytes(stream.read())
        raise ImageFault("image_missing", f"{path[:200]}: no such file")


def find_source(uri: str, columns: ColumnSettings) -> Source:
    """Recognise the catalogue at `uri`: a folder, or one Parquet or CSV file.

    Raises:
        CatalogError: it does not exist, or holds no products that we know to read.
    """
    try:
        return _recognised(uri, columns)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise CatalogError(f"catalogue {uri}: cannot be read ({reason})") from error


def _recognised(uri: str, columns: ColumnSettings) -> Source:
    system, place = _place(uri)
    info = system.get_file_info(place)
    if info.type == fs.FileType.NotFound:
        raise CatalogError(f"catalogue {uri}: no such folder; give one by --catalog <folder>")
    if info.type == fs.FileType.File:
        folder, paths = str(PurePosixPath(place).parent), [place]
    else:
        folder, paths = place, _files(system, place)
    tables = _products(system, folder, [p for p in paths if p.endswith(".parquet")], columns)
    sheets = _products(system, folder, [p for p in paths if p.lower().endswith(".csv")], columns)
    if tables:
        notes = (f"{sheets[0].name} was left alone: the Parquet files were read",) if sheets else ()
        return Source(system, folder, "parquet", tuple(tables), notes)
    if len(sheets) > 1:
        names = ", ".join(sheet.name for sheet in sheets)
        raise CatalogError(f"catalogue {uri}: several CSV files hold products ({names}); leave one")
    if not sheets:
        raise CatalogError(f"catalogue {uri}: {_why_none(system, paths)}; {_MEND}")
    return Source(system, folder, "csv", tuple(sheets))


def _place(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        return filesystem(uri)
    except StorageError as error:
        raise CatalogError(f"catalogue {error}") from error


def _files(system: fs.FileSystem, folder: str) -> list[str]:
    """Paths of the folder's own files, and of Parquet files one level below."""
    found: list[str] = []
    for info in system.get_file_info(fs.FileSelector(folder)):
        name = PurePosixPath(info.path).name
        if name.startswith((".", "_")):
            continue
        if info.type == fs.FileType.File:
            found.append(info.path)
        else:
            below = system.get_file_info(fs.FileSelector(info.path))
            found += [i.path for i in below if i.path.endswith(".parquet")]
    return sorted(found)


def _products(
    system: fs.FileSystem, folder: str, paths: list[str], columns: ColumnSettings
) -> list[SourceFile]:
    """The files among `paths` that hold products; a CSV that cannot count only where none can."""
    found: list[SourceFile] = []
    faults: list[CatalogError] = []
    for path in paths:
        is_table = path.endswith(".parquet")
        reader = parquet_files if is_table else csv_files
        name = str(PurePosixPath(path).relative_to(folder))
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


def _why_none(system: fs.FileSystem, paths: list[str]) -> str:
    tables = [p for p in paths if p.lower().endswith((".parquet", ".csv"))]
    if not tables:
        return "no Parquet and no CSV file in it"
    reader = parquet_files if tables[0].endswith(".parquet") else csv_files
    have = ", ".join(reader.column_names(system, tables[0])[:12])
    name = PurePosixPath(tables[0]).name
    return (
        f"{name} has the columns {have}; it needs product_id (or id) and title or image"
        " (map other names by catalog.columns)"
    )
