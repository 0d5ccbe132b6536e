"""xmodal/catalog/judged.py: read from files, or made of titles."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.shops import encoded
from xmodal.catalog.judged import made_of_titles, part_of, read_queries
from xmodal.errors import QueriesError

KNOWN = {"p1", "p2", "p3"}


def write(tmp_path, content):
    path = tmp_path / "queries.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_tables(tmp_path, asked, judged):
    pq.write_table(pa.Table.from_pylist(asked), tmp_path / "queries.parquet")
    pq.write_table(pa.Table.from_pylist(judged), tmp_path / "qrels.parquet")
    return tmp_path / "queries.parquet"


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


def test_a_query_that_judges_nothing_can_still_be_asked(tmp_path):
    path = write(tmp_path, {"shoe": {"p1": 1}, "lost": {"p9": 1}, "nil": {"p2": 0}, "none": {}})
    queries = read_queries(path, KNOWN, lost={"p9"})
    assert list(queries.texts) == ["shoe", "lost", "nil", "none"]
    assert queries.qrels == {"shoe": {"p1": 1}}


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
        {"query_id": "q2", "text": None, "image": encoded(1), "lang": None},
    ]
    judged = [{"query_id": f"q{i}", "product_id": f"p{i}", "grade": i} for i in (1, 2)]
    queries = read_queries(write_tables(tmp_path, asked, judged), KNOWN)
    assert (queries.texts, queries.images) == ({"q1": "shoe"}, {"q2": encoded(1)})
    assert queries.qrels == {"q1": {"p1": 1}, "q2": {"p2": 2}}


@pytest.mark.parametrize(
    ("image", "judged", "message"),
    [
        (
            b"I am a text file",
            "q1",
            r"image of query 'q1' cannot be used \(not_an_image.*; give the",
        ),
        ("a.jpg", "q1", "image of query 'q1' cannot be used"),
        (
            encoded(1),
            "q9",
            r"qrels.parquet: judges query 'q9', which .*queries.parquet does not ask",
        ),
    ],
)
def test_tables_that_cannot_be_used_name_the_query(image, judged, message, tmp_path):
    grades = [{"query_id": judged, "product_id": "p1", "grade": 1}]
    path = write_tables(tmp_path, [{"query_id": "q1", "text": None, "image": image}], grades)
    with pytest.raises(QueriesError, match=message) as said:
        read_queries(path, KNOWN)
    assert "\n" not in str(said.value)


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
    assert made_of_titles(lambda: shop, "dev").qrels == {"shoe": {"p1": 1, "p2": 1}}


def test_titles_that_read_alike_are_one_query():
    shop = [
        ("p1", "red shoe", "train", True),
        ("p2", "Red Shoe", "dev", True),
        ("p3", "red  shoe ", "dev", True),
    ]
    queries = made_of_titles(lambda: iter(shop), "dev")
    assert queries.texts == {"Red Shoe": "Red Shoe"}
    assert queries.qrels == {"Red Shoe": {"p1": 1, "p2": 1, "p3": 1}}


@pytest.mark.parametrize(
    ("splits", "part"),
    [("test train", "test"), ("dev train train", "dev"), ("val train", "val"), ("train", "train")],
)
def test_what_is_held_out_owns_a_query(splits, part):
    split_of = {f"p{i}": split for i, split in enumerate(splits.split())}
    assert part_of(dict.fromkeys(split_of, 1), split_of) == part
