"""xmodal/catalog/esci_files.py: two tables, and the pictures beside them."""

import pytest

from tests.foreign import example, product, write_esci
from tests.shops import encoded, quarantined, take_in, write_parquet
from xmodal.errors import CatalogError

URL = "https://pictures.example/I/71{}._AC_SY879_.jpg?x=1"
PRODUCTS = [product(f"B{i}") for i in range(12)] + [product("B0", "jp"), product("B1", "es")]
EXAMPLES = [
    example("red shoe", "B0", "E"),
    example("red shoe", "B1", "S"),
    example("red shoe", "B2", "C"),
    example("red shoe", "B3", "I"),
    example("hat", "B4", "E", "train"),
    example("hat", "B0", "E", "train"),
    example("hat", "B5", "S", "train"),
    example("wide", "B6", "E", small_version=0),
    example("靴", "B0", "E", product_locale="jp"),
]


def test_labels_are_grades_and_are_kept(tmp_path):
    catalog = take_in(write_esci(tmp_path / "shop", PRODUCTS, EXAMPLES), tmp_path / "home").catalog
    test = catalog.judged("test")
    names = {text: name for name, text in test.queries.items()}
    assert test.qrels[names["red shoe"]] == {"B0": 3, "B1": 2, "B2": 1, "B3": 0}
    assert test.labels == {3: "E", 2: "S", 1: "C", 0: "I"}
    assert test.qrels[names["靴"]] == {"B0-jp": 3}
    assert {test.langs[names[text]] for text in ("red shoe", "靴")} == {"en", "ja"}
    assert set(names) == {"red shoe", "靴"}  # the large version does not judge


def test_what_test_judges_is_held_out_in_every_locale(tmp_path):
    catalog = take_in(write_esci(tmp_path / "shop", PRODUCTS, EXAMPLES), tmp_path / "home").catalog
    split = {r["product_id"]: r["split"] for r in catalog.rows(["product_id", "split"])}
    held_out = {"B0", "B1", "B2", "B3", "B0-jp", "B1-es"}
    assert {name for name, part in split.items() if part == "test"} == held_out
    judged = [row for row in catalog.pairs("train").to_pylist() if row["source"] == "judged"]
    assert {(row["text"], row["product_id"]) for row in judged} == {("hat", "B4"), ("hat", "B5")}


def test_attributes_and_language_come_with_a_product(tmp_path):
    catalog = take_in(write_esci(tmp_path / "shop", PRODUCTS, EXAMPLES), tmp_path / "home").catalog
    row = {r["product_id"]: r for r in catalog.rows(["product_id", "title", "attributes", "lang"])}
    assert row["B0-jp"]["title"] == "Shoe B0"
    assert row["B0-jp"]["attributes"] == {"brand": "Acme", "color": "Red", "locale": "jp"}
    assert row["B0-jp"]["lang"] == "ja"


def pictured(catalog):
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    return {ids[row]: content for row, _, content in catalog.images(0, len(ids))}


@pytest.mark.parametrize("below", [".", "data"])
def test_pictures_are_found_by_product_or_by_url_and_none_is_fetched(below, tmp_path):
    folder = tmp_path / "shop"
    write_esci(folder / below, PRODUCTS[:6], EXAMPLES[:1])
    (folder / "images").mkdir()
    (folder / "images" / "B0.jpg").write_bytes(encoded(1))
    (folder / "images" / "71two._AC_SY879_.jpg").write_bytes(encoded(2))
    rows = f"B2,{URL.format('two')}\nB3,{URL.format('three')}\nB4,\n"
    (folder / "product_image_urls.csv").write_text("product_id,image_url\n" + rows)
    catalog = take_in(folder, tmp_path / "home").catalog
    assert pictured(catalog) == {"B0": encoded(1), "B2": encoded(2)}
    assert catalog.n_products == 6


def test_pictures_may_lie_in_parquet_in_another_order(tmp_path):
    folder = write_esci(tmp_path / "shop", PRODUCTS[:6], EXAMPLES[:1])
    rows = [{"product_id": f"B{i}", "image": encoded(i)} for i in (4, 1, 9)]
    write_parquet(folder, rows, "pictures.parquet")
    urls = [{"product_id": "B0", "image_url": URL.format("zero")}]
    write_parquet(folder, urls, "product_image_urls.parquet")
    (folder / "71zero._AC_SY879_.png").write_bytes(encoded(7, "PNG"))
    found = pictured(take_in(folder, tmp_path / "home").catalog)
    assert found == {"B0": encoded(7, "PNG"), "B1": encoded(1), "B4": encoded(4)}


def test_bad_rows_are_in_quarantine(tmp_path):
    products = [*PRODUCTS, product(""), product("B50", product_title=None), product("B0")]
    examples = [
        *EXAMPLES,
        example("red shoe", "B5", "X"),
        example("red shoe", "B5", split="valid"),
        example("", "B5"),
        example("red shoe", "B777"),
        example("red shoe", "B50"),
    ]
    folder = write_esci(tmp_path / "shop", products, examples)
    catalog = take_in(folder, tmp_path / "home", max_bad_share=0.5).catalog
    assert quarantined(catalog.path / "quarantine") == {
        "duplicate_id": ["B0"],
        "empty": ["B50"],
        "esci_label": ["B5"],
        "judged_unknown": ["B777"],
        "no_id": [""],
        "no_query": ["B5"],
        "split": ["B5"],
    }


def test_a_missing_column_is_named(tmp_path):
    rows = [{k: v for k, v in row.items() if k not in ("esci_label", "split")} for row in EXAMPLES]
    folder = write_esci(tmp_path / "shop", PRODUCTS, rows)
    with pytest.raises(CatalogError, match=r"examples.parquet: lacks the column esci_label, split"):
        take_in(folder, tmp_path / "home")


def test_the_large_version_judges_where_there_is_no_small_one(tmp_path):
    examples = [row | {"small_version": 0} for row in EXAMPLES]
    summary = take_in(write_esci(tmp_path / "shop", PRODUCTS, examples), tmp_path / "home")
    assert "wide" in summary.catalog.judged("test").queries.values()
    assert summary.notes[0].startswith("ESCI: judged by its large version")
