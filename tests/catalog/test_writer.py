"""xmodal/catalog/writer.py: parts roll over, splits are rewritten in place."""

import pyarrow.parquet as pq

from tests.shops import quarantined
from xmodal.catalog import writer
from xmodal.catalog.rows import Draft


def draft(number):
    return Draft("x.csv", number, f"p{number}", attributes={"colour": "Red"})


def test_parts_roll_over_by_rows_and_keep_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_GROUP_ROWS", 4)
    monkeypatch.setattr(writer, "_PART_ROWS", 8)
    products = writer.ProductWriter(tmp_path / "products")
    for number in range(19):
        products.add(draft(number), [b"picture"])
    products.close()
    assert [part.rows for part in products.parts] == [8, 8, 3]
    read = [pq.read_table(tmp_path / "products" / part.name) for part in products.parts]
    ids = [i for table in read for i in table["product_id"].to_pylist()]
    assert ids == [f"p{number}" for number in range(19)]


def test_large_pictures_close_a_group_early(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_GROUP_BYTES", 1000)
    products = writer.ProductWriter(tmp_path / "products")
    for number in range(6):
        products.add(draft(number), [b"x" * 500])
    products.close()
    assert pq.ParquetFile(tmp_path / "products" / "part-00000.parquet").num_row_groups == 3


def test_a_split_is_rewritten_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "_PART_ROWS", 4)
    monkeypatch.setattr(writer, "_GROUP_ROWS", 2)
    products = writer.ProductWriter(tmp_path / "products")
    for number in range(6):
        products.add(draft(number), [b"picture"])
    products.close()
    folder = tmp_path / "products"
    before = [pq.read_table(folder / part.name).drop(["split"]) for part in products.parts]
    writer.rewrite_splits(folder, products.parts, lambda row: "val" if row in (1, 5) else "train")
    after = [pq.read_table(folder / part.name) for part in products.parts]
    assert [t.drop(["split"]) for t in after] == before
    splits = [s for table in after for s in table["split"].to_pylist()]
    assert splits == ["train", "val", "train", "train", "train", "val"]
    assert sorted(p.name for p in folder.iterdir()) == [part.name for part in products.parts]


def test_quarantine_has_a_file_for_each_reason(tmp_path):
    quarantine = writer.Quarantine(tmp_path / "quarantine")
    quarantine.add(draft(1), "price", "n/a")
    quarantine.add(draft(2), "empty", "nothing")
    quarantine.add(draft(3), "price", "\udce9")
    quarantine.add(draft(4), "image_broken", "one of two", is_kept=True)
    quarantine.close()
    found = quarantined(tmp_path / "quarantine")
    assert found == {"empty": ["p2"], "image_broken": ["p4"], "price": ["p1", "p3"]}
    assert quarantine.rows == {"price": 2, "empty": 1}
    assert quarantine.dropped_images == 1
