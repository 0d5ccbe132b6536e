"""xmodal/catalog/store.py: products in one order, images streamed by row range."""

import pytest

from tests.shops import encoded, make_rows, take_in, write_csv
from xmodal.catalog.store import current_catalog, open_catalog
from xmodal.errors import CatalogError


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Twelve products: the third has two pictures, the fifth none."""
    folder, home = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("home")
    rows = make_rows(12)
    rows[2]["image"] = "images/002.jpg|images/extra.jpg"
    rows[4]["image"] = ""
    return take_in(write_csv(folder, rows), home).catalog


def test_products_come_in_the_order_of_the_source(shop):
    assert shop.products(["product_id"])["product_id"].to_pylist() == [
        f"p{i:03d}" for i in range(12)
    ]
    assert "images" not in shop.products().column_names
    assert shop.products().num_rows == shop.n_products == 12


def test_images_are_numbered_by_product(shop):
    numbers = [(row, number) for row, number, _ in shop.images(0, 12)]
    assert numbers == [(0, 0), (1, 0), (2, 0), (2, 1), (3, 0), *((i, 0) for i in range(5, 12))]
    assert shop.n_images == 12


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (2, 3), (3, 9), (11, 40)])
def test_a_range_is_a_slice_of_all(shop, start, stop):
    all_images = list(shop.images(0, 12))
    assert list(shop.images(start, stop)) == [i for i in all_images if start <= i[0] < stop]


def test_images_are_the_bytes_of_the_source(shop):
    extra = [content for row, number, content in shop.images(2, 3) if number == 1]
    assert extra == [encoded(200 + len("images/extra.jpg"))]


def test_a_home_knows_its_current_catalogue(shop):
    home = shop.path.parents[1]
    assert current_catalog(home) == shop
    assert open_catalog(shop.path).manifest == shop.manifest


def test_a_part_without_queries_has_none(shop):
    assert shop.judged("test").queries == {}


def test_what_is_no_catalogue_says_what_to_run(tmp_path):
    with pytest.raises(CatalogError, match="no catalogue yet; run jobs/ingest.py"):
        current_catalog(tmp_path)
    with pytest.raises(CatalogError, match="not an ingested catalogue"):
        open_catalog(tmp_path)


def test_a_missing_part_is_named(tmp_path):
    catalog = take_in(write_csv(tmp_path / "shop", make_rows(5)), tmp_path / "home").catalog
    (catalog.path / "products" / "part-00000.parquet").unlink()
    with pytest.raises(CatalogError, match="part-00000.parquet is missing"):
        open_catalog(catalog.path)
