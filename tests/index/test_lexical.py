"""xmodal/index/lexical.py: words of two scripts, BM25 as defined, an optional part of a version."""

import math

import numpy as np
import pytest

from tests.factories import tiny_encoder
from tests.homes import product_row, tiny_catalog, tiny_index, write_catalog
from xmodal.errors import IndexDamaged
from xmodal.index.facets import as_filter
from xmodal.index.lexical import LEXICAL_FILES, Lexical, asked_terms, best, terms
from xmodal.index.version import Index, open_index


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    return tiny_index(folder, tiny_catalog(folder / "c1"), tiny_encoder())


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("shoes", "shoe"),
        ("dresses", "dress"),
        ("watches", "watch"),
        ("accessories", "accessory"),
        ("glass", "glass"),
        ("cactus", "cactus"),
    ],
)
def test_a_plural_is_its_singular(plural, singular):
    assert terms(plural) == terms(singular) == [singular]


def test_chinese_is_read_by_characters_and_their_neighbours():
    assert terms("连衣裙") == ["连", "衣", "裙", "连衣", "衣裙", "连衣裙"]


def test_known_words_are_asked_for_in_the_other_language_too():
    assert "dress" in asked_terms("红色连衣裙")
    assert "红色" in asked_terms("red")


def test_scores_are_those_of_bm25():
    texts = ["red shoe", "blue shoe with a long long name", "bag"]
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    lengths = [2, 7, 1]
    expected = [
        idf * 1 / (1 + 1.5 * (1 - 0.75 + 0.75 * length / np.mean(lengths))) * has
        for length, has in zip(lengths, (1, 1, 0), strict=True)
    ]
    found = Lexical.of_texts(texts)
    assert found is not None
    # "shoe" has no other language here: 鞋子 is in none of the texts.
    np.testing.assert_allclose(found.scores("shoes"), expected, rtol=1e-5)


def test_what_shares_no_word_scores_nothing(index):
    assert index.words.scores("violin 小提琴").tolist() == [0.0] * 24
    assert len(best(index.words.scores("violin"), 5)) == 0


def test_attributes_are_searched_beside_titles(tmp_path):
    row = product_row(0) | {"title": "n. 17", "attributes": [("brand", "Acme")]}
    catalog = write_catalog(tmp_path / "c", [row, *(product_row(n) for n in range(1, 6))])
    found = tiny_index(tmp_path, catalog, tiny_encoder())
    assert best(found.words.scores("acme"), 3).tolist() == [0]


def test_the_best_pass_the_filter_and_ties_stand_in_catalogue_order(index):
    passing = index.facets.mask(as_filter({"colour": "red"}))
    rows = best(index.words.scores("shoe"), 24, passing)
    assert rows.tolist() == [n for n in range(24) if product_row(n)["title"] == "red shoe"]
    assert best(index.words.scores("shoe"), 2, passing).tolist() == rows[:2].tolist()


def test_a_version_proves_its_words(index):
    assert index.facts.words_found == 1.0
    assert set(LEXICAL_FILES) <= set(index.facts.files)
    assert isinstance(open_index(index.folder, "e0").words._model.scores["data"], np.memmap)


@pytest.mark.parametrize("name", LEXICAL_FILES)
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_lost_or_truncated_file_is_named(index, tmp_path, name, is_cut):
    copy = _copy(index, tmp_path)
    content = (copy / name).read_bytes()
    (copy / name).unlink()
    if is_cut:
        (copy / name).write_bytes(content[:-3])
    with pytest.raises(IndexDamaged, match=name):
        open_index(copy, "e0")


def test_a_shop_without_a_word_has_no_words(tmp_path):
    rows = [product_row(n) | {"title": "", "attributes": []} for n in range(6)]
    index = tiny_index(tmp_path, write_catalog(tmp_path / "c", rows), tiny_encoder())
    assert index.words is None
    assert index.facts.words_found is None
    assert open_index(index.folder, "e0").words is None


def test_products_can_be_scored_by_themselves(index):
    query_D = index.vector(5)
    everything = index.search(query_D, 24)
    some = index.among(query_D, np.array([3, 9, 23]))
    kept = np.isin(everything.product_rows, [3, 9, 23])
    np.testing.assert_array_equal(some.product_rows, everything.product_rows[kept])
    np.testing.assert_allclose(some.scores, everything.scores[kept], atol=1e-6)


def test_the_same_products_give_the_same_files(tmp_path):
    for name in ("a", "b"):
        Lexical.of_texts(["red shoe", "蓝色 bag"]).save(tmp_path / name)
    for name in LEXICAL_FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def _copy(index: Index, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in index.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy
