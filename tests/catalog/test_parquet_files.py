"""xmodal/catalog/parquet_files.py: bounded batches; bad UTF-8 costs its row."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from tests.shops import write_parquet
from xmodal.catalog import parquet_files
from xmodal.errors import CatalogError

LOCAL = fs.LocalFileSystem()


def rows(path):
    return [raw for raw, _ in parquet_files.read_rows(LOCAL, str(path), path.name)]


def test_rows_come_in_order_over_row_groups(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": [str(i) for i in range(3000)]}), path, row_group_size=700)
    read = rows(path)
    assert [r.cells["id"] for r in read] == [str(i) for i in range(3000)]
    assert [r.row for r in read] == list(range(1, 3001))
    assert parquet_files.measure(LOCAL, str(path)) == 3000


def test_text_that_is_not_utf8_is_a_fault_of_its_row(tmp_path):
    raw = pa.array([b"shoe", b"caf\xe9", b"hat"], pa.binary())
    bad = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["1", "2", "3"], "title": bad}), path)
    assert [r.fault and r.fault.reason for r in rows(path)] == [None, "bad_utf8", None]


def test_large_pictures_do_not_pile_up(tmp_path):
    path = tmp_path / "x.parquet"
    with pq.ParquetWriter(path, pa.schema([("id", pa.string()), ("image", pa.binary())])) as file:
        for i in range(40):
            file.write_table(pa.table({"id": [str(i)], "image": [bytes([i]) * 4_000_000]}))
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    peak = 0
    for _ in parquet_files.read_rows(LOCAL, str(path), "x"):
        peak = max(peak, pool.bytes_allocated() - before)
    assert peak < 120_000_000  # of 160 MB


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_what_is_not_parquet_is_named(content, tmp_path):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(CatalogError, match=r"x.parquet: not a Parquet file .*; repair it") as said:
        parquet_files.column_names(LOCAL, str(tmp_path / "x.parquet"))
    assert "\n" not in str(said.value)


def test_a_file_damaged_inside_is_named(tmp_path):
    path = (
        write_parquet(tmp_path, [{"id": f"{i}", "t": f"t{i}"} for i in range(5000)])
        / "part-0.parquet"
    )
    content = bytearray(path.read_bytes())
    content[4:2000] = b"\xff" * 1996
    path.write_bytes(content)
    with pytest.raises(CatalogError, match="damaged after row"):
        rows(path)
