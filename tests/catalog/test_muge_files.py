"""xmodal/catalog/muge_files.py: pictures in TSV, queries in JSON lines."""

import pytest

from tests.foreign import asks, write_lines, write_muge, write_tsv
from tests.shops import encoded, quarantined, take_in
from xmodal.errors import CatalogError


def test_queries_of_train_are_pairs_and_those_of_valid_judge(tmp_path):
    catalog = take_in(write_muge(tmp_path / "shop"), tmp_path / "home").catalog
    assert catalog.manifest.counts == {"train": 12, "val": 4}
    assert not catalog.manifest.made_val
    pairs = catalog.pairs("train").to_pylist()
    assert {(row["text"], row["product_id"], row["source"]) for row in pairs} == {
        (f"红色鞋子 {i}", str(p), "judged") for i in range(12) for p in (i, (i + 1) % 12)
    }
    val = catalog.judged("val")
    assert val.qrels["91"] == {"101": 1}
    assert (val.queries["91"], val.langs["91"], val.made) == ("蓝色帽子 1", "zh", False)
    assert catalog.manifest.cannot_train == ""
    picture = next(catalog.images(0, 1))[2]
    assert picture == encoded(100)  # held-out parts come first


def test_the_layout_of_chinese_clip_is_the_same(tmp_path):
    folder = write_tsv(tmp_path / "shop", "train_imgs.tsv", {"1": encoded(1)})
    line = {"text_id": 8, "text": "托特包", "image_ids": [1]}
    write_lines(folder, "train_texts.jsonl", [line])
    write_lines(folder, "train_texts.tr.jsonl", [{"image_id": 1, "text_ids": [8]}])
    write_lines(folder, "valid_predictions.jsonl", [{"text_id": 8, "image_ids": [7]}])
    pairs = take_in(folder, tmp_path / "home").catalog.pairs("train").to_pylist()
    assert [(row["text"], row["product_id"]) for row in pairs] == [("托特包", "1")]


def test_bad_lines_cost_themselves(tmp_path):
    folder = write_muge(tmp_path / "shop")
    with (folder / "MR_train_imgs.tsv").open("ab") as file:
        file.write(b"200\t!!!not base64!!!\n201 no tab\n\xff\xfe\tAAAA\n202\taGVsbG8gd29ybGQ=\n")
    bad = [
        b"{broken",
        b'["a list"]',
        b'{"query_id": 1, "query_text": "\xff"}',
        b'{"query_id": 1, "query_text": "\\ud800"}',
        {"query_id": 5, "item_ids": [1]},
        asks(6, " ", 1),
        asks(7, "unknown", 999),
        asks(8, "lost", 200),
    ]
    write_lines(folder, "MR_test_queries.jsonl", bad)
    summary = take_in(folder, tmp_path / "home", max_bad_share=0.5)
    found = quarantined(summary.catalog.path / "quarantine")
    assert {reason: len(ids) for reason, ids in found.items()} == {
        "bad_base64": 1,
        "bad_json": 2,
        "bad_utf8": 3,
        "judged_unknown": 1,
        "no_query": 1,
        "not_an_image": 1,
        "query_keys": 1,
        "tsv_columns": 1,
    }
    assert found["bad_base64"] == ["200"]
    assert summary.rows == 20 + 24
    assert summary.catalog.n_products == 16


def test_too_many_bad_lines_stop(tmp_path):
    folder = write_muge(tmp_path / "shop")
    write_lines(folder, "MR_test_queries.jsonl", [b"{broken", *({"query_text": "x"},) * 3])
    with pytest.raises(CatalogError, match=r"4 of 36 rows are bad .*: query_keys 3, bad_json 1"):
        take_in(folder, tmp_path / "home")


def test_queries_without_judgements_judge_nothing(tmp_path):
    folder = write_tsv(write_muge(tmp_path / "shop"), "MR_test_imgs.tsv", {"9": encoded(900)})
    write_lines(folder, "MR_test_queries.jsonl", [{"query_id": 3, "query_text": "hat"}])
    catalog = take_in(folder, tmp_path / "home").catalog
    assert catalog.manifest.n_queries == {"val": 4}
    assert catalog.products(["split"])["split"].to_pylist().count("test") == 1


def test_a_picture_of_two_parts_is_held_out(tmp_path):
    folder = write_tsv(write_muge(tmp_path / "shop"), "MR_test_imgs.tsv", {"3": encoded(3)})
    catalog = take_in(folder, tmp_path / "home", max_bad_share=0.2).catalog
    assert catalog.manifest.counts == {"train": 11, "val": 4, "test": 1}
    assert "3" not in {row["product_id"] for row in catalog.pairs("train").to_pylist()}


def test_queries_of_other_keys_are_named(tmp_path):
    folder = write_muge(tmp_path / "shop")
    write_lines(folder, "MR_train_queries.jsonl", [{"qid": 1, "title": "x"}])
    with pytest.raises(CatalogError, match="lines have qid, title; they need query_id, query_text"):
        take_in(folder, tmp_path / "home")
