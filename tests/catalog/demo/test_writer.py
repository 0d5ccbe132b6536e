"""xmodal/catalog/demo/writer.py: the folder that a shop is drawn into."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from xmodal.catalog.demo import write_demo_shop
from xmodal.catalog.demo.scene import SIZE

PRODUCTS = 30


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_shop(tmp_path_factory.mktemp("demo") / "shop", PRODUCTS, seed=3)


def test_the_same_seed_draws_the_same_bytes(shop, tmp_path):
    again = write_demo_shop(tmp_path / "again", PRODUCTS, seed=3)
    assert _bytes(again) == _bytes(shop)


def test_another_seed_draws_another_shop(shop, tmp_path):
    other = write_demo_shop(tmp_path / "other", PRODUCTS, seed=4)
    assert (other / "products.csv").read_bytes() != (shop / "products.csv").read_bytes()


def test_every_product_is_a_row_and_every_picture_a_square_jpeg(shop):
    rows = _rows(shop)
    assert len({row["product_id"] for row in rows}) == PRODUCTS
    named = [name for row in rows for name in row["images"].split("|") if name]
    assert sorted(named) == sorted(f"images/{p.name}" for p in (shop / "images").iterdir())
    assert {Image.open(shop / name).size for name in named} == {(SIZE, SIZE)}
    assert {Image.open(shop / name).format for name in named} == {"JPEG"}


def test_queries_name_products_of_their_own_part(shop):
    split = {row["product_id"]: row["split"] for row in _rows(shop)}
    for part in ("val", "dev", "test"):
        judged = json.loads((shop / "queries" / f"{part}.json").read_text(encoding="utf-8"))
        assert {split[name] for relevant in judged.values() for name in relevant} <= {part}


def test_a_shop_that_is_there_is_left_as_it_is(shop):
    before = (shop / "products.csv").stat().st_mtime_ns
    write_demo_shop(shop, products=1, seed=9)
    assert (shop / "products.csv").stat().st_mtime_ns == before


def test_progress_counts_every_product_once(tmp_path):
    seen: list[int] = []
    write_demo_shop(tmp_path / "shop", 3, progress=seen.append)
    assert sum(seen) == 3


def _rows(shop: Path) -> list[dict[str, str]]:
    with (shop / "products.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
