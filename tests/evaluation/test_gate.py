"""xmodal/evaluation/gate.py: each verdict, and the figures in its reasons."""

import numpy as np
import pytest

from xmodal.evaluation.gate import gate


def table(values):
    return {"mrr@10": {f"q{i}": float(value) for i, value in enumerate(values)}}


def noisy(mean, spread, n=200, seed=0):
    return mean + np.random.default_rng(seed).normal(0, spread, n)


def test_the_first_release_of_a_catalogue_passes():
    verdict = gate(table([0.1]), None)
    assert (verdict.passed, verdict.verdict) == (True, "first")


@pytest.mark.parametrize(
    ("gain", "word", "passed"),
    [(0.1, "better", True), (0.0, "equal", True), (-0.1, "worse", False)],
)
def test_a_clear_difference_decides(gain, word, passed):
    champion = noisy(0.5, 0.1)
    verdict = gate(table(champion + gain), table(champion))
    assert (verdict.passed, verdict.verdict) == (passed, word)


def test_a_gain_within_chance_passes_and_a_loss_within_chance_does_not():
    champion, noise = noisy(0.5, 0.1), noisy(0, 0.1, seed=1)
    noise -= noise.mean()
    up = gate(table(champion + noise + 0.001), table(champion))
    down = gate(table(champion + noise - 0.001), table(champion))
    assert (up.passed, up.verdict) == (True, "equal")
    assert (down.passed, down.verdict) == (False, "not better")


def test_the_reasons_carry_the_figures():
    verdict = gate(table([0.5, 0.5, 1.0]), table([0.25, 0.5, 0.5]))
    assert "MRR@10 0.6667 against 0.4167" in verdict.reasons[0]
    assert "+0.2500" in verdict.reasons[0]


def test_other_queries_than_the_champions_cannot_be_compared():
    other = {"mrr@10": {"another": 1.0}}
    verdict = gate(table([0.5, 0.5]), other)
    assert (verdict.passed, verdict.verdict) == (False, "incomparable")


def test_less_than_80_percent_of_the_queries_in_common_is_incomparable():
    champion = table(noisy(0.3, 0.1, n=10))
    for n, word in ((12, "better"), (13, "incomparable")):  # 10 of 12 are 83 %, of 13 77 %
        assert gate(table(noisy(0.9, 0.01, n=n)), champion).verdict == word


def test_queries_of_one_side_are_left_out_and_counted():
    verdict = gate(table([0.5, 0.6, 0.7, 0.8, 0.9]), table([0.1, 0.1, 0.1, 0.1]))
    assert verdict.reasons[-1] == "1 queries that only one of them answered are left out"
