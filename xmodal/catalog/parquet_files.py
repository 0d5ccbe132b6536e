"""Rows of Parquet files, a bounded batch at a time; images as bytes, `{bytes, path}` or paths."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from xmodal.catalog.rows import RawRow, RowFault
from xmodal.errors import CatalogError

_BATCH_BYTES = 8 << 20
_MOST_ROWS = 1024


def column_names(system: fs.FileSystem, path: str) -> list[str]:
    """Names of a file's columns.

    Raises:
        CatalogError: the file is not Parquet.
    """
    with _open(system, path) as file:
        names: list[str] = file.schema_arrow.names
        return names


def measure(system: fs.FileSystem, path: str) -> int:
    """Rows of a file, by its footer."""
    with _open(system, path) as file:
        return int(file.metadata.num_rows)


def read_rows(system: fs.FileSystem, path: str, name: str) -> Iterator[tuple[RawRow, int]]:
    """Yield the rows of a file, each with the rows so far; one with bad UTF-8 is a fault.

    Raises:
        CatalogError: the file is damaged.
    """
    row = 0
    with _open(system, path) as file:
        size = file.metadata.num_rows and max(
            1,
            sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
            // file.metadata.num_rows,
        )
        batch_rows = max(8, min(_MOST_ROWS, _BATCH_BYTES // max(size, 1)))
        try:
            for batch in file.iter_batches(batch_size=batch_rows):
                for cells, fault in _cells(batch):
                    row += 1
                    yield RawRow(name, row, cells, fault), row
        except (pa.ArrowException, OSError) as error:
            raise CatalogError(
                f"{path}: damaged after row {row} ({_short(error)}); write the file anew"
            ) from error


def _open(system: fs.FileSystem, path: str) -> pq.ParquetFile:
    try:
        # Without pre-buffering: a row group may be larger than memory.
        return pq.ParquetFile(system.open_input_file(path), pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise CatalogError(
            f"{path}: not a Parquet file ({_short(error)}); repair it or take it out of the folder"
        ) from error


def _cells(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, object], RowFault | None]]:
    columns: dict[str, list[object]] = {}
    faults: dict[int, RowFault] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns[name] = column.to_pylist(maps_as_pydicts="lossy")
        except UnicodeDecodeError:
            columns[name] = _one_by_one(name, column, faults)
    for number in range(batch.num_rows):
        yield {name: values[number] for name, values in columns.items()}, faults.get(number)


def _one_by_one(name: str, column: pa.Array, faults: dict[int, RowFault]) -> list[object]:
    """Values of a column with bad UTF-8 in it; the rows at fault are noted."""
    values: list[object] = []
    for number, scalar in enumerate(column):
        try:
            values.append(scalar.as_py())
        except UnicodeDecodeError as error:
            faults[number] = RowFault("bad_utf8", f"column {name}: {error.reason}")
            values.append(None)
    return values


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
