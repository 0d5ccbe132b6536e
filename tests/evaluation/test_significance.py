"""xmodal/evaluation/significance.py: against the normal approximation, and by meaning."""

import doctest
from itertools import product

import numpy as np
import pytest

from xmodal.evaluation import significance
from xmodal.evaluation.significance import compare, holm, interval


def named(values):
    return {f"q{i}": float(value) for i, value in enumerate(values)}


def test_the_interval_is_that_of_the_central_limit():
    draw = np.random.default_rng(3)
    theirs, gain = draw.normal(0, 1, 400), draw.normal(0.1, 0.5, 400)
    found = compare(named(theirs + gain), named(theirs), resamples=4000)
    half = 1.96 * gain.std() / 400**0.5
    assert found.difference == pytest.approx(gain.mean())
    assert found.low == pytest.approx(gain.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(gain.mean() + half, abs=0.1 * half)


def test_pairs_are_kept_together():
    """A small gain on every query is certain, however much queries differ among themselves."""
    theirs = np.random.default_rng(0).normal(0, 100, 50)
    assert compare(named(theirs + 0.01), named(theirs)).low == pytest.approx(0.01)


def test_no_difference_is_no_sign():
    found = compare(named([0.1, 0.9]), named([0.1, 0.9]))
    assert (found.difference, found.p_value, found.is_significant) == (0.0, 1.0, False)


def test_the_same_seed_gives_the_same_interval():
    ours, theirs = named([0.3, 0.8, 0.1]), named([0.2, 0.9, 0.0])
    assert compare(ours, theirs, seed=5) == compare(ours, theirs, seed=5)


def test_many_queries_are_drawn_in_chunks(monkeypatch):
    ours, theirs = named(range(20)), named(range(1, 21))
    monkeypatch.setattr("xmodal.evaluation.significance._CHUNK", 40)
    assert compare(ours, theirs, resamples=101).difference == -1.0


def test_nothing_in_common_says_nothing():
    assert compare({"a": 1.0}, {"b": 1.0}).queries == 0


def test_the_p_value_is_that_of_all_sign_flips():
    """By enumeration: 2**8 equally likely assignments of the two runs."""
    gain = np.array([0.3, 0.1, -0.2, 0.5, 0.4, -0.1, 0.2, 0.6])
    flips = [abs(np.dot(signs, gain)) for signs in product((-1, 1), repeat=8)]
    exact = np.mean([flip >= gain.sum() - 1e-9 for flip in flips])
    found = compare(named(gain), named([0] * 8), resamples=2_000)
    assert found.p_value == pytest.approx(exact, abs=0.01)


def test_without_a_difference_one_in_twenty_is_called_significant():
    draw = np.random.default_rng(1)
    p_values = [
        compare(named(draw.normal(0, 1, 40)), named([0] * 40), resamples=100, seed=n).p_value
        for n in range(300)
    ]
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.09


def test_holm_by_hand_and_in_the_order_given():
    assert holm([0.04, 0.001, 0.03, 0.9]) == pytest.approx([0.09, 0.004, 0.09, 0.9])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    value = np.random.default_rng(2).normal(3, 2, 500)
    low, high = interval(value, resamples=4000)
    half = 1.96 * value.std() / 500**0.5
    assert (low, high) == pytest.approx((value.mean() - half, value.mean() + half), abs=half * 0.1)
    assert interval([]) == (0.0, 0.0)


def test_the_worked_example_holds():
    assert doctest.testmod(significance).failed == 0
