"""xmodal/catalog/csv_files.py: a bad line costs itself, never the lines after it."""

import pytest
from pyarrow import fs

from xmodal.catalog import csv_files
from xmodal.errors import CatalogError

LOCAL = fs.LocalFileSystem()


def rows(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    read = [raw for raw, _ in csv_files.read_rows(LOCAL, str(path), "x.csv")]
    return [(r.cells.get("title"), r.fault.reason if r.fault else None) for r in read]


def test_quotes_commas_and_new_lines_are_read(tmp_path):
    text = 'id,title\n1,"red, ""big""\nshoe"\n\n2,蓝色\n'
    assert rows(tmp_path, text) == [('red, "big"\nshoe', None), ("蓝色", None)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_common_dialects_are_read(mark, delimiter, end, tmp_path):
    text = mark + end.join(delimiter.join(row) for row in (("id", "title"), ("1", "shoe")))
    assert rows(tmp_path, text) == [("shoe", None)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "text",
    ["id,title\n1,shoe,\n", "id,title,,\n1,shoe,,\n", "id,title,\n1,shoe\n"]
    + [blank + "id,title\n1,shoe\n" for blank in ("\n\r\n", " \n", ",,,\n")],
)
def test_surplus_commas_and_blank_lines_before_the_header_are_read(mark, text, tmp_path):
    assert rows(tmp_path, mark + text) == [("shoe", None)]


def test_a_line_of_bad_utf8_is_alone(tmp_path):
    content = b"id,title\n1,caf\xe9\n2,shoe\n"
    assert rows(tmp_path, content)[1:] == [("shoe", None)]
    assert rows(tmp_path, content)[0][1] == "bad_utf8"


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path):
    lines = "".join(f"{i},shoe {i}\n" for i in range(500))
    read = rows(tmp_path, 'id,title\n0,"open\n' + lines)
    ids = [raw.cells["id"] for raw, _ in csv_files.read_rows(LOCAL, str(tmp_path / "x.csv"), "x")]
    assert read[0][1] == "csv_quote"
    assert ids == ["0", *map(str, range(500))]
    assert read[1:] == [(f"shoe {i}", None) for i in range(500)]


def test_a_quote_within_a_word_is_only_a_mark(tmp_path):
    text = 'id,title\n1,17" screen\n2,shoe\n3,5" and 6" heels\n'
    assert rows(tmp_path, text) == [('17" screen', None), ("shoe", None), ('5" and 6" heels', None)]


def test_a_row_of_another_width_says_so(tmp_path):
    assert rows(tmp_path, "id,title\n1\n2,shoe,9\n3,hat\n") == [
        (None, "csv_columns"),
        ("shoe", "csv_columns"),
        ("hat", None),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        ("id,title\n".encode("utf-16"), "is UTF-16"),
        (b"id,title,couleur pr\xe9f\n1,shoe,red\n", "its first line is not UTF-8; save"),
    ],
)
def test_a_file_that_is_no_csv_is_named(content, message, tmp_path):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(CatalogError, match=f"x.csv: {message}"):
        csv_files.column_names(LOCAL, str(tmp_path / "x.csv"))
