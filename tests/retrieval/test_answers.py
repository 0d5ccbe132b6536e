"""xmodal/retrieval/{answers,foreign}.py: what the service would answer, and what it cannot."""

import asyncio
import time

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from tests.homes import embed, tiny_home
from xmodal.catalog.store import current_catalog
from xmodal.matcher.saved import load_matcher
from xmodal.retrieval.answers import Scored, score_answers
from xmodal.retrieval.embed import embed_pictures
from xmodal.retrieval.foreign import Classes, find_classes, foreign_words, make_cases
from xmodal.search.opened import Parts, open_searcher
from xmodal.search.query import Query
from xmodal.search.stages import make_pools

PICTURELESS = {"p022", "p023"}  # found by their titles, which no judgement of pictures looks at
TEXTS = ["red shoe", "蓝色衬衫", "bag"]


def test_answers_are_those_of_the_service(tmp_path):
    release = tiny_home(tmp_path)
    parts = Parts(release.matcher_folder(tmp_path), release.index_folder(tmp_path))
    matcher, catalog = load_matcher(parts.matcher), current_catalog(tmp_path)
    store = embed(catalog, matcher.encoder, tmp_path / "store")
    none = [np.zeros(0, np.int64)] * len(TEXTS)
    searcher, _ = open_searcher(parts, make_pools(), depth=10)
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    for reranker in (matcher.reranker, None):
        found = score_answers(matcher.encoder, reranker, store, TEXTS, none, depth=10)
        for text, one in zip(TEXTS, found, strict=True):
            query = Query(text=text, rerank=reranker is not None)
            served = asyncio.run(searcher.answer(query, time.time() + 60)).hits
            served = {
                hit.product_id: hit.score for hit in served if hit.product_id not in PICTURELESS
            }
            mine = dict(zip([ids[row] for row in one.product_K], one.score_K.tolist(), strict=True))
            assert list(mine)[: len(served)] == list(served)
            assert list(served.values()) == pytest.approx(
                list(mine.values())[: len(served)], abs=1e-4
            )


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Ten kinds of six products; the pictures of a kind are alike, colours are drawn freely."""
    folder, rng = tmp_path_factory.mktemp("shop"), np.random.default_rng(0)
    products = []
    for n in range(60):
        colour = ("red", "blue", "green")[rng.integers(3)]
        attributes = [("colour", colour), ("kind", f"kind{n % 10}"), ("code", f"c{n}")]
        picture = [make_picture(n % 10, (40, 40 + n // 10))] if n < 59 else []
        products.append(make_product(n, attributes=attributes, images=picture))
    catalog, encoder = make_catalog(folder / "catalog", products), tiny_encoder()
    return catalog, encoder, embed(catalog, encoder, folder / "store")


def test_the_kind_is_the_attribute_that_parts_the_pictures(shop):
    catalog, _, store = shop
    assert find_classes(catalog, store).attribute == "kind"


def test_hidden_products_are_never_found(shop):
    catalog, encoder, store = shop
    classes = find_classes(catalog, store)
    hidden = classes.hide(np.array([3, 14]))
    assert set(hidden.tolist()) == {n for n in range(60) if n % 10 in (3, 4)}
    found = score_answers(encoder, None, store, ["red shoe"] * 2, [hidden, hidden[:0]], depth=60)
    assert len(found[0].product_K) == 47
    assert not set(found[0].product_K) & set(hidden)
    assert len(found[1].product_K) == 59  # all with a picture


def test_a_product_of_unknown_kind_hides_nothing():
    assert not len(Classes("kind", ["a", None]).hide(np.array([0, 1])))


def test_a_case_holds_what_is_right_and_the_answer_without_it():
    def answer(texts, hidden):
        shown = [np.setdiff1d(np.arange(4), rows) for rows in hidden]
        return [
            Scored(rows[:1], rows, rows.astype(np.float32), rows.astype(np.float32))
            for rows in shown
        ]

    classes = Classes("kind", ["a", "a", "b", None])
    one, other = make_cases(
        answer, ["x", "y"], [np.array([0]), np.array([3])], classes, [np.array([2]), np.array([])]
    )
    assert one.right_K.tolist() == [True, False, False]
    assert one.without.product_K.tolist() == [3]
    assert other.right_K.tolist() == [False, False, False, True]
    assert other.without is None


def test_foreign_words_are_not_the_shops(shop, tmp_path):
    assert "washing machine" in foreign_words(shop[0])
    catalog = make_catalog(tmp_path / "c", [make_product(0, title="machine oil", attributes=[])])
    assert "washing machine" not in foreign_words(catalog)
    assert "whisky" in foreign_words(catalog)


def test_shares_are_a_softmax():
    one = Scored(*[np.zeros(2, np.float32)] * 3, np.array([0.0, np.log(3)], np.float32))
    assert one.shares(1.0) == pytest.approx([0.25, 0.75])
    assert one.shares(2.0) == pytest.approx([0.1, 0.9])


def test_best_rows_are_each_products_nearest_picture(shop):
    from xmodal.retrieval.topk import best_rows

    vectors = embed_pictures(shop[1], [make_picture(n) for n in range(5)])
    owner = np.array([0, 0, 0, 2, 2])
    assert best_rows(vectors[1], vectors, owner, np.array([2, 0])).tolist()[1] == 1
    assert best_rows(vectors[4], vectors, owner, np.array([2, 0])).tolist()[0] == 4
