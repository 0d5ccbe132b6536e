"""xmodal/index/version.py and build.py: exact search, filters, and an index that proves itself."""

import os
from pathlib import Path

import faiss
import numpy as np
import pytest

from tests.factories import make_picture, tiny_encoder
from tests.homes import product_row, tiny_catalog, tiny_index, write_catalog
from xmodal.errors import FilterError, IndexDamaged, IndexMismatch
from xmodal.index.facets import as_filter
from xmodal.index.layout import FILES
from xmodal.index.version import Index, open_index
from xmodal.retrieval.embed import embed_pictures, embed_texts


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder()


@pytest.fixture(scope="module")
def index(tmp_path_factory, encoder):
    folder = tmp_path_factory.mktemp("shop")
    return tiny_index(folder, tiny_catalog(folder / "c1"), encoder)


def test_a_picture_finds_its_own_product_first(index, encoder):
    for number in (0, 5, 17):
        query_D = embed_pictures(encoder, [make_picture(number * 10)])[0]
        hits = index.search(query_D, 3, kind="image")
        assert index.products.column("product_id", hits.product_rows)[0] == f"p{number:03d}"
        assert hits.scores[0] == pytest.approx(1, abs=1e-3)


def test_of_several_pictures_the_best_counts(index, encoder):
    query_D = embed_pictures(encoder, [make_picture(12)])[0]  # the third picture of p001
    hits = index.search(query_D, 24, kind="image")
    assert hits.product_rows[0] == 1
    assert len(set(hits.product_rows)) == len(hits.product_rows) == 24
    assert hits.scores[0] == pytest.approx(float(index.vector(hits.vector_rows[0]) @ query_D))


def test_search_equals_brute_force(index, encoder):
    query_D = embed_texts(encoder, ["green bag"])[0]
    best = np.full(24, -np.inf)
    offset = index.facts.text_offset["text"]
    for row, product in enumerate(index.product_row_N):
        is_text = row >= index.facts.vectors - index.facts.text_rows
        best[product] = max(best[product], index.vector(row) @ query_D - offset * is_text)
    hits = index.search(query_D, 10)
    np.testing.assert_allclose(hits.scores, np.sort(best)[::-1][:10], atol=1e-5)


def test_a_product_without_a_picture_is_found_by_its_text(index, encoder):
    title = index.products.column("title", [23])[0]
    hits = index.search(embed_texts(encoder, [title])[0], 24)
    assert 23 in hits.product_rows[:24]
    assert index.facts.text_rows == 2


def test_a_filter_is_exact(index, encoder):
    query_D = embed_texts(encoder, ["blue bag"])[0]
    hits = index.search(query_D, 24, as_filter({"colour": ["red", "green"], "kind": "shoe"}))
    titles = index.products.column("title", hits.product_rows)
    assert sorted(set(titles)) == ["green shoe", "red shoe"]
    assert len(titles) == sum(
        product_row(n, 0)["title"] in ("green shoe", "red shoe") for n in range(24)
    )


def test_a_value_that_no_product_has_finds_nothing(index, encoder):
    query_D = embed_texts(encoder, ["bag"])[0]
    assert len(index.search(query_D, 5, as_filter({"colour": "violet"})).scores) == 0


def test_an_unknown_attribute_names_the_known_ones(index, encoder):
    query_D = embed_texts(encoder, ["bag"])[0]
    with pytest.raises(FilterError, match="colour, kind"):
        index.search(query_D, 5, as_filter({"color": "red"}))


def test_equal_pictures_stand_in_order_of_id(tmp_path, encoder):
    rows = [product_row(n) for n in range(6)]
    for row in rows:
        row["images"] = rows[0]["images"]
    index = tiny_index(tmp_path, write_catalog(tmp_path / "c", rows[::-1]), encoder)
    hits = index.search(index.vector(3), 6, kind="image")
    ids = index.products.column("product_id", hits.product_rows)
    assert ids == sorted(ids)
    assert index.facts.self_found == 1.0
    for k in range(1, 6):  # fewer are the first of more, whichever row comes first in the index
        fewer = index.search(index.vector(3), k, kind="image")
        assert index.products.column("product_id", fewer.product_rows) == ids[:k]


def test_the_facts_hold_what_was_proven(index):
    facts = index.facts
    assert facts.recall == {"text": 1.0, "image": 1.0}
    assert facts.self_found == 1.0
    assert (facts.products, facts.vectors, facts.text_rows) == (24, 26, 2)


def test_the_same_inputs_are_not_built_again(index, encoder, tmp_path):
    again = tiny_index(index.folder.parents[1], tiny_catalog(tmp_path / "c1"), encoder)
    assert again.folder == index.folder
    assert os.listdir(index.folder.parent) == [index.folder.name]


def test_a_foreign_encoder_is_refused(index):
    with pytest.raises(IndexMismatch, match="build an index with this matcher"):
        open_index(index.folder, "another")


@pytest.mark.parametrize("name", [*FILES, "index.json"])
def test_a_missing_file_is_named(index, tmp_path, name):
    copy = _copy(index, tmp_path)
    (copy / name).unlink()
    with pytest.raises(IndexDamaged, match=name):
        open_index(copy, "e0")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(index, tmp_path, name):
    copy = _copy(index, tmp_path)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) - 3])
    with pytest.raises(IndexDamaged, match=name):
        open_index(copy, "e0")


def test_vectors_in_another_order_do_not_find_themselves(index, tmp_path):
    from xmodal.index.version import self_found

    copy = _copy(index, tmp_path)
    vectors = index.vectors.reconstruct_n(0, index.vectors.ntotal)[::-1].copy()
    turned = faiss.IndexFlatIP(vectors.shape[1])
    turned.add(vectors)
    faiss.write_index(turned, str(copy / "index.faiss"))
    assert self_found(Index(copy, index.facts)) < 0.5


def _copy(index: Index, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in index.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy
