"""xmodal/retrieval/codes.py: sizes, errors, and exactness where all candidates are rescored."""

import numpy as np
import pytest

from xmodal.retrieval.codes import int8_codes, overlap, search_codes, sign_codes
from xmodal.retrieval.topk import topk

KINDS = {"int8": int8_codes, "sign": sign_codes}


def unit(rows, dim=48, seed=0):
    """Vectors with the falling spectrum and the common mean that embeddings have."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, dim)) / (1 + np.arange(dim)) ** 0.5 + 0.2
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_rescored_it_is_exact_search(kind):
    gallery, query = unit(300), unit(20, seed=1)
    gallery[7] = gallery[250]  # a tie: the lower row first, as in topk
    found = search_codes(KINDS[kind](gallery), query, gallery, 10, rescored=300)
    for ours, exact in zip(found, topk(query, gallery, 10), strict=True):
        np.testing.assert_allclose(ours, exact, atol=1e-6)


@pytest.mark.parametrize(("kind", "least"), [("int8", 0.999), ("sign", 0.75)])
def test_a_tenth_of_the_gallery_holds_the_best(kind, least):
    gallery, query = unit(2000), unit(50, seed=1)
    exact = topk(query, gallery, 10)[1]
    codes = KINDS[kind](gallery)
    rescored = overlap(search_codes(codes, query, gallery, 10, rescored=200)[1], exact)
    alone = overlap(codes.candidates(query, 10), exact)
    assert rescored >= least
    assert rescored >= alone


def test_more_candidates_never_find_less():
    gallery, query = unit(1000), unit(40, seed=1)
    exact, codes = topk(query, gallery, 10)[1], sign_codes(gallery)
    found = [
        overlap(search_codes(codes, query, gallery, 10, rescored=count)[1], exact)
        for count in (10, 50, 250, 1000)
    ]
    assert found == sorted(found)
    assert found[-1] == 1


def test_int8_errs_by_half_a_step_at_most():
    gallery = unit(100)
    codes = int8_codes(gallery)
    assert (np.abs(codes.code_ND * codes.step_D - gallery) <= codes.step_D / 2 + 1e-7).all()


@pytest.mark.parametrize(("dim", "int8", "sign"), [(256, 256, 32), (48, 48, 8), (65, 65, 16)])
def test_bytes_per_vector(dim, int8, sign):
    gallery = unit(5, dim)
    assert int8_codes(gallery).bytes_per_vector == int8
    assert sign_codes(gallery).bytes_per_vector == sign


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_gallery_is_filled_up(kind):
    gallery = unit(3)
    scores, rows = search_codes(KINDS[kind](gallery), unit(2, seed=1), gallery, 5, rescored=50)
    assert (rows[:, 3:] == -1).all()
    assert np.isneginf(scores[:, 3:]).all()
    assert sorted(rows[0, :3]) == [0, 1, 2]


def test_overlap_counts_shared_rows():
    found, exact = np.array([[1, 2], [3, 9]]), np.array([[2, 1], [3, -1]])
    assert overlap(found, exact) == 1.0
    assert overlap(np.array([[1, 5]]), np.array([[1, 2]])) == 0.5
