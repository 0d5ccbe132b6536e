"""xmodal/catalog/shop.py: files beside the products, wherever the shop lies."""

import json
from dataclasses import replace

import pytest
from pyarrow import fs

from tests.shops import make_rows, write_csv
from xmodal.catalog.captions import read_glossary
from xmodal.catalog.judged import read_queries
from xmodal.catalog.shop import glossary_place, queries_place, stamp
from xmodal.catalog.source import find_source
from xmodal.errors import CatalogError
from xmodal.settings import CatalogSettings, ColumnSettings

CHOSEN = CatalogSettings(queries="wishes.json")


@pytest.fixture
def store(tmp_path):
    """A source of another store than the local disk: its paths begin with a bucket."""
    folder = write_csv(tmp_path / "bucket" / "shop", make_rows(3))
    (folder / "wishes.json").write_text(json.dumps({"shoe": {"p000": 1}}))
    (folder / "glossary.zh.json").write_text(json.dumps({"colour": {"Red": "红色"}}))
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    found = find_source(str(folder), ColumnSettings())
    return replace(found, system=system, folder="bucket/shop", uri="s3://bucket/shop")


def test_queries_and_glossary_lie_in_the_store(store):
    assert read_queries(queries_place(store, CHOSEN), {"p000"}).qrels == {"shoe": {"p000": 1}}
    assert read_glossary(glossary_place(store, CHOSEN)) == {"colour": {"Red": "红色"}}


def test_the_stamp_sees_queries_that_lie_elsewhere(store, tmp_path):
    path = tmp_path / "elsewhere.json"
    stamps = set()
    for text in ('{"a": {}}', '{"ab": {}}'):
        path.write_text(text)
        stamps.add(stamp(store, CatalogSettings(queries=str(path)), 0, 1, tmp_path / "home"))
    assert len(stamps) == 2


def test_a_shop_that_cannot_be_read_is_one_line(store, tmp_path):
    (tmp_path / "bucket").rename(tmp_path / "gone")
    with pytest.raises(CatalogError, match="catalogue s3://bucket/shop: cannot be read") as said:
        stamp(store, CatalogSettings(), 0, 1, tmp_path / "home")
    assert "\n" not in str(said.value)
