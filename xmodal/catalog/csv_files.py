"""Rows of a CSV file, streamed; a bad line costs itself, never the lines after it."""

import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import IO

from pyarrow import fs

from xmodal.catalog.rows import RawRow, RowFault
from xmodal.errors import CatalogError

_MOST_LINES = 200  # of one row: more is a quote that was never closed
_MOST_CHARS = 1 << 24
_DELIMITERS = (",", ";", "\t")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_HEADER_BYTES = 1 << 16


def column_names(system: fs.FileSystem, path: str) -> list[str]:
    """Names in a file's header.

    Raises:
        CatalogError: the file is empty, or not UTF-8.
    """
    with system.open_input_stream(path) as file:
        start = bytes(file.read(_HEADER_BYTES))
    if start.startswith(_UTF16):
        raise CatalogError(f"{path}: is UTF-16; save it as UTF-8")
    header = _header(_Lines(io.BytesIO(start)))
    if not header:
        raise CatalogError(f"{path}: is empty; its first line must name the columns")
    if not _is_utf8(header):
        raise CatalogError(f"{path}: its first line is not UTF-8; save the file as UTF-8")
    return _names(header)


def measure(system: fs.FileSystem, path: str) -> int:
    """Size of a file."""
    return int(system.get_file_info(path).size)


def read_rows(system: fs.FileSystem, path: str, name: str) -> Iterator[tuple[RawRow, int]]:
    """Yield the rows of a file, each with the bytes read so far."""
    csv.field_size_limit(_MOST_CHARS)
    with system.open_input_stream(path, buffer_size=1 << 20) as file:
        lines = _Lines(io.BufferedReader(file))  # Arrow's own streams know no lines
        header = _header(lines)
        names, delimiter = _names(header), _delimiter(header)
        for row, (values, fault) in enumerate(_records(lines, delimiter), start=1):
            yield _raw(name, row, names, values, fault), lines.read_bytes


class _Lines:
    """Lines of a stream; lines that a record took by mistake can be given back."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = iter(file)
        self._waiting: deque[str] = deque()
        self.read_bytes = 0

    def take(self) -> str:
        """The next line with its end; '' at the end of the file."""
        if self._waiting:
            return self._waiting.popleft()
        line = next(self._file, b"")
        is_first = self.read_bytes == 0
        self.read_bytes += len(line)
        return line.decode("utf-8-sig" if is_first else "utf-8", "surrogateescape")

    def give_back(self, lines: list[str]) -> None:
        self._waiting.extendleft(reversed(lines))


def _header(lines: _Lines) -> str:
    """The first line that names anything; '' where there is none."""
    while (line := lines.take()) and not line.strip("".join(_DELIMITERS) + " \r\n"):
        pass
    return line


def _names(header: str) -> list[str]:
    names = next(csv.reader([header], delimiter=_delimiter(header)))
    while names and not names[-1].strip():
        names.pop()  # a comma at the end of every line names nothing
    return names


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[list[str], RowFault | None]]:
    while line := lines.take():
        if not line.strip():
            continue
        record = [line]
        is_open = _ends_open(line, False, delimiter)
        while is_open and len(record) < _MOST_LINES and (more := lines.take()):
            record.append(more)
            is_open = _ends_open(more, True, delimiter)
        if is_open:
            lines.give_back(record[1:])
            fault = RowFault("csv_quote", f"a quote is never closed: {line[:80]!r}")
            yield _first_cell(line, delimiter), fault
            continue
        try:
            yield next(csv.reader(record, delimiter=delimiter)), None
        except (csv.Error, StopIteration) as error:
            yield _first_cell(line, delimiter), RowFault("csv_line", str(error))


def _first_cell(line: str, delimiter: str) -> list[str]:
    """What can be read of a broken line: its first cell, if that is not the broken one."""
    return [] if line.startswith('"') else [line.split(delimiter, 1)[0].strip()]


def _ends_open(line: str, is_open: bool, delimiter: str) -> bool:
    """Whether a quoted cell goes on after `line`; a quote within a word opens nothing."""
    place = 0
    if not is_open and line.startswith('"'):
        is_open, place = True, 1
    while True:
        mark = '"' if is_open else f'{delimiter}"'
        found = line.find(mark, place)
        if found < 0:
            return is_open
        place = found + len(mark)
        if is_open and line.startswith('"', place):
            place += 1  # a doubled quote stands for one
        else:
            is_open = not is_open


def _raw(
    name: str, row: int, names: list[str], values: list[str], fault: RowFault | None
) -> RawRow:
    surplus = values[len(names) :]
    if surplus and not any(cell.strip() for cell in surplus):
        values = values[: len(names)]
    cells: dict[str, object] = dict(zip(names, values, strict=False))
    if fault is None and len(values) != len(names):
        fault = RowFault("csv_columns", f"{len(values)} cells, the header has {len(names)}")
    if fault is None:
        bad = [key for key, value in cells.items() if not _is_utf8(str(value))]
        fault = RowFault("bad_utf8", f"column {bad[0]}") if bad else None
    return RawRow(name, row, cells, fault)


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= char <= "\udcff" for char in text)


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)
