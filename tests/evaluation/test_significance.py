"""xmodal/evaluation/significance.py: against the normal approximation, and by meaning."""

import numpy as np
import pytest

from xmodal.evaluation.significance import compare


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
