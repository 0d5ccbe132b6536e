"""xmodal/catalog/rows.py: a row becomes a product, or says why not."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest

from xmodal.catalog.rows import RawRow, RowFault, match_columns, peek_id, to_draft
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


@pytest.mark.parametrize("price", ["$12.99", "12,50", "n/a", "-1", "inf", "nan"])
def test_a_price_that_is_no_number_is_an_attribute(price):
    product = draft(price=price)
    assert (product.price, product.attributes) == (None, {"price": price})


def test_a_price_is_a_number():
    assert [draft(price=p).price for p in ("12.50", 3, Decimal("1.5"), "")] == [12.5, 3, 1.5, None]
    assert draft(price="12.50").attributes == {}


@pytest.mark.parametrize("odd", [dt.timedelta(1), UUID(int=1), 1j, b"raw", [1], {"a": UUID(int=1)}])
def test_an_attribute_of_an_odd_type_is_dropped_alone(odd):
    assert draft(extra=odd, colour="Red").attributes == {"colour": "Red"}


def test_binary_text_is_utf8():
    product = draft(id=b"7", title="蓝 shoe".encode())
    assert (product.product_id, product.title) == ("7", "蓝 shoe")
    raw = RawRow("x", 1, {"id": b"7\xff", "title": "x"})
    assert peek_id(raw, match_columns(["id", "title"], ColumnSettings(), "x")) == "7\ufffd"


@pytest.mark.parametrize(
    ("one", "other", "refs"), [("a.jpg", "", ["a.jpg"]), (None, "b.jpg", ["b.jpg"])]
)
def test_pictures_may_lie_in_either_column(one, other, refs):
    product = draft(image=one, images=other)
    assert (product.images, product.attributes) == (refs, {})


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
        ({"title": b"caf\xe9"}, "bad_utf8"),
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
