"""xmodal/catalog/rows.py: a row becomes a product, or says why not."""

import datetime as dt
from decimal import Decimal

import pytest

from xmodal.catalog.rows import RawRow, RowFault, match_columns, to_draft
from xmodal.errors import CatalogError
from xmodal.settings import ColumnSettings

GOOD = {"id": "1", "title": "red shoe", "image": "a.jpg"}


def draft(**cells):
    row = GOOD | cells
    columns = match_columns(list(row), ColumnSettings(), "x.csv")
    return to_draft(RawRow("x.csv", 1, row), columns)


def test_other_columns_are_attributes():
    product = draft(colour="Red", size="", url="http://x", year=2012.0, sold=True, gap=None)
    assert product.attributes == {"colour": "Red", "year": "2012", "sold": "true"}
    assert product.url == "http://x"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (7.5, "7.5"),
        (Decimal("7.50"), "7.50"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (["a", "b"], "a, b"),
        ({"inner": "x"}, None),
        (b"raw", None),
        (float("nan"), None),
    ],
)
def test_an_attribute_is_plain_text(value, text):
    assert draft(extra=value).attributes.get("extra") == text


def test_a_map_of_attributes_is_spread():
    product = draft(attributes={"colour": "Red", "size": 7, "none": None})
    assert product.attributes == {"colour": "Red", "size": "7"}


def test_an_id_from_a_table_of_floats_has_no_point():
    assert draft(id=1163.0).product_id == "1163"


@pytest.mark.parametrize(
    ("cell", "refs"),
    [
        ("a.jpg", ["a.jpg"]),
        ("a.jpg | b.jpg|", ["a.jpg", "b.jpg"]),
        (b"\xff\xd8", [b"\xff\xd8"]),
        ({"bytes": b"\xff", "path": "a.jpg"}, [b"\xff"]),
        ({"bytes": None, "path": "a.jpg"}, ["a.jpg"]),
        ({"bytes": None, "path": None}, []),
        ([{"bytes": b"1", "path": None}, b"2", "c.jpg"], [b"1", b"2", "c.jpg"]),
        (None, []),
        (float("nan"), []),
        ("", []),
    ],
)
def test_images_are_bytes_or_paths(cell, refs):
    assert draft(image=cell).images == refs


@pytest.mark.parametrize(
    ("given", "split"),
    [("valid", "val"), ("Validation", "val"), ("TRAIN", "train"), ("", "train"), ("dev", "dev")],
)
def test_splits_have_other_names(given, split):
    assert draft(split=given).split == split


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"id": ""}, "no_id"),
        ({"id": None}, "no_id"),
        ({"id": ["1"]}, "wrong_type"),
        ({"title": "", "image": ""}, "empty"),
        ({"title": ["a", "b"]}, "wrong_type"),
        ({"price": "n/a"}, "price"),
        ({"price": "-1"}, "price"),
        ({"price": "inf"}, "price"),
        ({"image": 7}, "wrong_type"),
        ({"split": "holdout"}, "split"),
    ],
)
def test_a_bad_row_says_why(cells, reason):
    with pytest.raises(RowFault) as fault:
        draft(**cells)
    assert fault.value.reason == reason


def test_columns_may_have_other_names():
    names = ["sku", "name", "photo", "colour"]
    settings = ColumnSettings(product_id="sku", title="name", images="photo")
    columns = match_columns(names, settings, "x.csv")
    product = to_draft(RawRow("x.csv", 1, dict(zip(names, "1abR", strict=True))), columns)
    assert (product.product_id, product.title, product.images) == ("1", "a", ["b"])
    assert product.attributes == {"colour": "R"}


def test_a_mapped_column_that_is_not_there_is_named():
    with pytest.raises(CatalogError, match="no column 'sku' for catalog.columns.product_id; it ha"):
        match_columns(["id", "title"], ColumnSettings(product_id="sku"), "x.csv")


def test_a_file_without_products_is_none():
    assert match_columns(["query_id", "product_id", "grade"], ColumnSettings(), "qrels") is None
    assert match_columns(["title", "image"], ColumnSettings(), "x.csv") is None
