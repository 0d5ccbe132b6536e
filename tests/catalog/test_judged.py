"""xmodal/catalog/judged.py: read from files, or made of titles."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xmodal.catalog.judged import made_of_titles, part_of, read_queries
from xmodal.errors import QueriesError

KNOWN = {"p1", "p2", "p3"}


def write(tmp_path, content):
    path = tmp_path / "queries.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_is_read_with_its_text_as_id(tmp_path):
    queries = read_queries(
        write(tmp_path, {"shoe": {"p1": 3}, "鞋 red": {"p2": 1, "p3": 0}}), KNOWN
    )
    assert queries.texts == {"shoe": "shoe", "鞋 red": "鞋 red"}
    assert queries.qrels == {"shoe": {"p1": 3}, "鞋 red": {"p2": 1, "p3": 0}}
    assert queries.langs == {"shoe": "en", "鞋 red": "zh"}


def test_unknown_products_are_an_error_that_names_one(tmp_path):
    path = write(tmp_path, {"shoe": {"p1": 1, "p9": 1}, "hat": {"p8": 1}})
    with pytest.raises(QueriesError, match=r"queries.json: 2 products are not .* 'p9'; take them"):
        read_queries(path, KNOWN)


def test_products_in_quarantine_are_left_out(tmp_path):
    path = write(tmp_path, {"shoe": {"p1": 1, "p9": 1}, "hat": {"p9": 1}})
    assert read_queries(path, KNOWN, lost={"p9"}).qrels == {"shoe": {"p1": 1}}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        {"shoe": ["p1"]},
        {"shoe": {"p1": 4}},
        {"shoe": {"p1": "x"}},
        {"a": {"p1": True}},
    ],
)
def test_another_form_is_an_error_that_shows_the_form(content, tmp_path):
    with pytest.raises(QueriesError, match=r"must be \{query: \{product_id: grade\}\}"):
        read_queries(write(tmp_path, content), KNOWN)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(QueriesError, match="nowhere.json: cannot be read"):
        read_queries(tmp_path / "nowhere.json", KNOWN)


def test_parquet_is_read_with_image_queries(tmp_path):
    asked = [
        {"query_id": "q1", "text": "shoe", "image": None, "lang": "en"},
        {"query_id": "q2", "text": None, "image": b"picture", "lang": None},
    ]
    judged = [{"query_id": f"q{i}", "product_id": f"p{i}", "grade": i} for i in (1, 2)]
    pq.write_table(pa.Table.from_pylist(asked), tmp_path / "queries.parquet")
    pq.write_table(pa.Table.from_pylist(judged), tmp_path / "qrels.parquet")
    queries = read_queries(tmp_path / "queries.parquet", KNOWN)
    assert (queries.texts, queries.images) == ({"q1": "shoe"}, {"q2": b"picture"})
    assert queries.qrels == {"q1": {"p1": 1}, "q2": {"p2": 2}}


def test_parquet_without_judgements_is_an_error(tmp_path):
    pq.write_table(pa.table({"query_id": ["1"], "text": ["x"]}), tmp_path / "queries.parquet")
    with pytest.raises(QueriesError, match="qrels.parquet"):
        read_queries(tmp_path / "queries.parquet", KNOWN)


def test_all_products_of_a_title_are_relevant():
    shop = [
        ("p1", "shoe", "dev", True),
        ("p2", "shoe", "train", True),
        ("p3", "shoe", "dev", False),
        ("p4", "hat", "train", True),
        ("p5", "", "dev", True),
    ]
    assert made_of_titles(shop, "dev").qrels == {"shoe": {"p1": 1, "p2": 1}}


@pytest.mark.parametrize(
    ("splits", "part"),
    [("test train", "test"), ("dev train train", "dev"), ("val train", "val"), ("train", "train")],
)
def test_what_is_held_out_owns_a_query(splits, part):
    split_of = {f"p{i}": split for i, split in enumerate(splits.split())}
    assert part_of(dict.fromkeys(split_of, 1), split_of) == part
