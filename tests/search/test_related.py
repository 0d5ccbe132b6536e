"""xmodal/search/related.py: near products by stored vectors; the ones asked with never show."""

import time

import numpy as np
import pytest

from tests.factories import tiny_encoder
from tests.homes import tiny_catalog, tiny_index
from xmodal.errors import FilterError, UnknownProduct
from xmodal.search.query import Related
from xmodal.search.related import mmr, related
from xmodal.search.stages import LocalRetriever, make_pools


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("related")
    return tiny_index(folder, tiny_catalog(folder / "catalog"), tiny_encoder())


@pytest.fixture(scope="module")
def retriever(index):
    return LocalRetriever(index, make_pools())


async def ask(retriever, weights, **rest):
    return await related(retriever, Related(weights, **rest), time.time() + 30)


def names(answer):
    return [hit.product_id for hit in answer.hits]


async def test_the_nearest_by_plain_cosines_without_the_product_itself(index, retriever):
    answer = await ask(retriever, {"p007": 1.0}, limit=5)
    vector_ND = index.product_vectors([f"p{n:03d}" for n in range(24)])
    stored = np.stack([index.vector(row) for row in range(index.vectors.ntotal)])
    best = {}
    for row, product in enumerate(index.product_row_N):
        score = float(stored[row] @ vector_ND[7])
        best[product] = max(best.get(product, -1), score)
    del best[7]
    want = sorted(best, key=lambda row: (-best[row], row))[:5]
    assert names(answer) == [f"p{row:03d}" for row in want]
    assert {"vectors", "retrieve", "total"} == set(answer.took_ms)


async def test_a_product_of_several_pictures_is_their_mean(index):
    rows = np.flatnonzero(index.product_row_N == 1)
    total = np.sum([index.vector(row) for row in rows], axis=0)
    found = index.product_vectors(["p001"])[0]
    assert len(rows) == 3
    np.testing.assert_allclose(found, total / np.linalg.norm(total), atol=1e-6)


async def test_weights_bend_the_answer(retriever):
    one = await ask(retriever, {"p003": 1.0, "p009": 1e-6}, limit=3)
    alone = await ask(retriever, {"p003": 1.0}, limit=4)
    assert names(one) == [name for name in names(alone) if name != "p009"][:3]


async def test_filters_and_exclusions_hold(retriever):
    wanted = (("kind", ("bag",)),)
    first = await ask(retriever, {"p003": 1.0}, limit=3, wanted=wanted)
    seen = frozenset(names(first))
    rest = await ask(retriever, {"p003": 1.0}, limit=3, wanted=wanted, excluded=seen)
    assert len(first.hits) == len(rest.hits) == 3
    assert not seen & set(names(rest))
    assert {hit.attributes["kind"] for hit in [*first.hits, *rest.hits]} == {"bag"}


async def test_unknown_names_are_errors(retriever):
    with pytest.raises(UnknownProduct, match="no product 'nobody'"):
        await ask(retriever, {"nobody": 1.0})
    with pytest.raises(FilterError):
        await ask(retriever, {"p003": 1.0}, wanted=(("colr", ("red",)),))


def test_diversity_passes_over_twins():
    vector_KD = np.array([[1, 0], [1, 0], [0.6, 0.8]], dtype=np.float32)
    score_K = np.array([0.9, 0.89, 0.5], dtype=np.float32)
    assert mmr(score_K, vector_KD, 3, 0.0) == [0, 1, 2]
    assert mmr(score_K, vector_KD, 2, 0.5) == [0, 2]
    assert mmr(score_K, vector_KD, 9, 0.5) == [0, 2, 1]
