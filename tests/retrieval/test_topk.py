"""xmodal/retrieval/topk.py against a full sort."""

import numpy as np
import pytest

from xmodal.retrieval.topk import topk, topk_products


def coarse(rows, dim, seed):
    """Vectors of small whole numbers: their products are exact in float32, and tie often."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, dim)).astype(np.float32)


def by_sorting(query_QD, gallery_ND, product_row_N, k):
    """Best score of each product, sorted by (-score, product row) in plain Python."""
    found = []
    for query in query_QD:
        best: dict[int, float] = {}
        for product, row in zip(product_row_N, gallery_ND, strict=True):
            best[int(product)] = max(best.get(int(product), -np.inf), float(query @ row))
        found.append(sorted(((-score, product) for product, score in best.items()))[:k])
    scores = [[-score for score, _ in row] for row in found]
    return np.array(scores), np.array([[product for _, product in row] for row in found])


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_rows_and_ties_are_those_of_a_full_sort(block):
    queries, gallery = coarse(300, 4, 0), coarse(150, 4, 1)
    want_scores, want_rows = by_sorting(queries, gallery, np.arange(150), 12)
    scores, rows = topk(queries, gallery, 12, block=block)
    np.testing.assert_array_equal(rows, want_rows)
    np.testing.assert_array_equal(scores, want_scores)


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_product_counts_by_its_best_picture(block, is_sorted):
    queries, gallery = coarse(20, 4, 2), coarse(150, 4, 3)
    products = np.random.default_rng(4).integers(0, 40, 150)
    products = np.sort(products) if is_sorted else products
    want_scores, want_rows = by_sorting(queries, gallery, products, 10)
    scores, rows = topk_products(queries, gallery, products, 10, block=block)
    np.testing.assert_array_equal(rows, want_rows)
    np.testing.assert_array_equal(scores, want_scores)


def test_too_few_rows_are_filled_up():
    scores, rows = topk(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), 3)
    assert rows.tolist() == [[0, -1, -1]]
    assert scores.tolist() == [[2.0, -np.inf, -np.inf]]


def test_an_empty_gallery_finds_nothing():
    scores, rows = topk(np.ones((2, 2), np.float32), np.ones((0, 2), np.float32), 2)
    assert (rows == -1).all()
    assert np.isinf(scores).all()
