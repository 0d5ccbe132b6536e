"""xmodal/catalog/picture_files.py: a tree of pictures is a shop that is searched by picture."""

import pytest

from tests.foreign import write_pictures
from tests.shops import make_rows, quarantined, take_in, write_csv
from xmodal.catalog.source import find_source
from xmodal.errors import CatalogError
from xmodal.settings import ColumnSettings


def rows(catalog):
    return {row["product_id"]: row for row in catalog.rows(["product_id", "attributes", "split"])}


def test_folders_are_categories(tmp_path):
    names = ["shoes/1.jpg", "shoes/old/2.PNG", "hats/1.jpg", ".git/x.jpg", "top.webp"]
    folder = write_pictures(tmp_path / "shop", names)
    (folder / "notes.txt").write_text("hello")
    found = rows(take_in(folder, tmp_path / "home").catalog)
    assert {name: row["attributes"].get("category") for name, row in found.items()} == {
        "shoes/1.jpg": "shoes",
        "shoes/old/2.PNG": "old",
        "hats/1.jpg": "hats",
        "top.webp": None,
    }


def test_one_folder_is_no_category(tmp_path):
    folder = write_pictures(tmp_path / "shop", ["images/1.jpg", "images/2.jpg"])
    found = rows(take_in(folder, tmp_path / "home").catalog)
    assert [row["attributes"] for row in found.values()] == [{}, {}]


def test_folders_named_as_parts_are_the_parts(tmp_path):
    names = ["train/hat/1.jpg", "train/shoe/1.jpg", "Valid/hat/2.jpg", "test/hat/3.jpg"]
    found = rows(take_in(write_pictures(tmp_path / "shop", names), tmp_path / "home").catalog)
    assert {name: row["split"] for name, row in found.items()} == {
        "train/hat/1.jpg": "train",
        "train/shoe/1.jpg": "train",
        "Valid/hat/2.jpg": "val",
        "test/hat/3.jpg": "test",
    }
    assert found["test/hat/3.jpg"]["attributes"] == {"category": "hat"}


def test_a_broken_picture_is_in_quarantine(tmp_path):
    folder = write_pictures(tmp_path / "shop", [f"{i}.jpg" for i in range(30)])
    (folder / "bad.jpg").write_bytes(b"no picture")
    catalog = take_in(folder, tmp_path / "home").catalog
    assert quarantined(catalog.path / "quarantine") == {"not_an_image": ["bad.jpg"]}
    assert catalog.n_images == 30


def test_it_is_taken_in_and_training_says_why_it_stops(tmp_path):
    summary = take_in(write_pictures(tmp_path / "shop", ["1.jpg", "2.jpg"]), tmp_path / "home")
    assert "warning: it can be searched, not trained on" in summary.notes[-1]
    with pytest.raises(CatalogError, match="none of the 2 products of train has a title") as said:
        summary.catalog.check_trainable()
    assert "\n" not in str(said.value)
    again = take_in(tmp_path / "shop", tmp_path / "home")
    assert (again.is_new, again.notes) == (False, summary.notes)


def test_a_table_is_never_passed_over_for_its_pictures(tmp_path):
    folder = write_csv(tmp_path / "shop", make_rows(2), "styles.csv")
    text = (folder / "styles.csv").read_text().replace("product_id", "sku")
    (folder / "styles.csv").write_text(text)
    with pytest.raises(CatalogError, match=r"styles.csv has the columns sku, .* needs product_id"):
        find_source(str(folder), ColumnSettings())
