"""xmodal/catalog/fold.py: the journal's changes in a catalogue of their own."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.factories import make_picture
from tests.homes import product_row, tiny_catalog, write_catalog
from xmodal.catalog.changes import (
    ProductFacts,
    delete_record,
    fingerprints,
    products_folder,
    upsert_record,
)
from xmodal.catalog.fold import NEW, fold_changes, origin_of
from xmodal.catalog.schema import PAIR, QREL, QUERY
from xmodal.catalog.store import Part, open_catalog
from xmodal.journal import Journal


@pytest.fixture
def base(tmp_path):
    catalog = tiny_catalog(tmp_path / "catalogs" / "c1")
    pairs = [
        {"text": f"text {row}", "product_id": f"p{row:03d}", "product_row": row, "weight": 1.0}
        | {"source": "title", "lang": "en", "split": "train", "facts": []}
        for row in (1, 2, 5, 20)
    ]
    pq.write_table(pa.Table.from_pylist(pairs, PAIR), catalog.path / "pairs.parquet")
    (catalog.path / "judged").mkdir()
    queries = [{"query_id": name, "text": name, "image": None, "lang": "en"} for name in "ab"]
    qrels = [{"query_id": "a", "product_id": "p002", "grade": 3, "label": None}]
    qrels += [
        {"query_id": "b", "product_id": name, "grade": 1, "label": None}
        for name in ("p002", "p003")
    ]
    judged = catalog.path / "judged"
    pq.write_table(pa.Table.from_pylist(queries, QUERY), judged / "val.queries.parquet")
    pq.write_table(pa.Table.from_pylist(qrels, QREL), judged / "val.qrels.parquet")
    return catalog


def record(product_id, *seeds, title="hat", **attributes):
    images = [make_picture(seed) for seed in seeds]
    facts = ProductFacts(product_id, title, attributes, price=1.5, pictures=fingerprints(images))
    return upsert_record(facts, images)


def append(home, *records):
    return Journal(products_folder(home)).append(records)


def test_without_a_change_the_catalogue_is_itself(tmp_path, base):
    assert fold_changes(tmp_path, base) is base
    append(tmp_path, record("new", 1), delete_record("new"), delete_record("nobody"))
    assert fold_changes(tmp_path, base) is base
    assert origin_of(base) is None


def test_products_are_replaced_taken_out_and_added_in_order(tmp_path, base):
    end = append(
        tmp_path,
        record("new", 500, 501, colour="violet"),
        record("p004", title="other"),
        delete_record("p002"),
        record("old", 502),
        delete_record("old"),
    )
    folded = fold_changes(tmp_path, base)
    ids = folded.products(["product_id"])["product_id"].to_pylist()
    assert ids == [f"p{n:03d}" for n in range(24) if n != 2] + ["new"]
    rows = {row["product_id"]: row for row in folded.rows(["product_id", "title", "split"])}
    assert (rows["p004"]["title"], rows["p004"]["split"]) == ("other", "train")
    (new,) = [
        row
        for row in folded.rows(["product_id", "attributes", "price"])
        if row["product_id"] == "new"
    ]
    assert (new["attributes"], new["price"]) == ({"colour": "violet"}, 1.5)
    pictures = list(folded.images(0, folded.n_products))
    assert [image for row, _, image in pictures if row == 23] == [
        make_picture(500),
        make_picture(501),
    ]
    assert len(pictures) == folded.n_images == base.n_images - 2 + 2
    name, origin_R = origin_of(folded)
    assert name == "c1"
    assert origin_R[:5].tolist() == [0, 1, 3, NEW, 5]
    assert origin_R[-1] == NEW
    assert folded.changes_end == end
    assert base.changes_end == 0
    assert sum(folded.manifest.counts.values()) == folded.n_products == 24


def test_pairs_and_judgements_follow_their_products(tmp_path, base):
    append(tmp_path, delete_record("p002"), record("p005", 1))
    folded = fold_changes(tmp_path, base)
    pairs = folded.pairs().to_pylist()
    assert [(pair["product_id"], pair["product_row"]) for pair in pairs] == [
        ("p001", 1),
        ("p020", 19),
    ]
    assert folded.manifest.n_pairs == 2
    assert folded.judged("val").qrels == {"b": {"p003": 1}}
    assert folded.manifest.n_queries == {"val": 1}


def test_the_same_changes_give_the_same_catalogue(tmp_path, base):
    append(tmp_path, record("new", 1))
    first = fold_changes(tmp_path, base)
    assert fold_changes(tmp_path, base).path == first.path
    end = append(tmp_path, record("new", 2))
    second = fold_changes(tmp_path, base)
    assert second.path != first.path
    onto = fold_changes(tmp_path, first)  # a folded one can be folded into again
    assert onto.changes_end == end
    assert list(onto.images(24, 25)) == list(second.images(24, 25)) == [(24, 0, make_picture(2))]


def test_a_file_in_which_nothing_changed_is_shared(tmp_path):
    home, catalog = tmp_path, write_parts(tmp_path / "catalogs" / "c1", 3)
    append(home, record("p009", 900), *[delete_record(f"p{n:03d}") for n in range(16, 24)])
    folded = fold_changes(home, catalog)
    assert [part.rows for part in folded.manifest.parts] == [8, 8]  # the third has none left
    for number, is_same in enumerate([True, False]):
        name = f"products/part-{number:05d}.parquet"
        assert (folded.path / name).samefile(catalog.path / name) is is_same
    assert origin_of(folded)[1].tolist() == [*range(9), NEW, *range(10, 16)]
    assert folded.n_images == len(list(folded.images(0, 16)))
    assert list(folded.images(9, 10)) == [(9, 0, make_picture(900))]


def write_parts(folder, count):
    """A catalogue of `count` files of eight products."""
    catalog = write_catalog(folder, [product_row(number) for number in range(8 * count)])
    whole = folder / "products" / "part-00000.parquet"
    table, parts = pq.read_table(whole), []
    for number in range(count):
        parts.append(Part(f"part-{number:05d}.parquet", 8))
        pq.write_table(table.slice(8 * number, 8), folder / "products" / parts[-1].name)
    replace(catalog.manifest, parts=parts).write(folder)
    return open_catalog(folder)
