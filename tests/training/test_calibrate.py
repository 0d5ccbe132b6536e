"""xmodal/training/calibrate.py on answers whose truth is drawn from a formula."""

import numpy as np
import pytest

from xmodal.matcher.calibration import PAGE, Calibration, Familiar
from xmodal.retrieval.answers import Scored
from xmodal.retrieval.foreign import Case
from xmodal.training.calibrate import conformal_threshold, fit_scale

K = 20
QUERY_D = np.ones(2, np.float32)


def draw(rng, worth):
    """An answer of falling scores, each hit right with chance 1 / (1 + exp(-(10 s - 5)))."""
    score_K = np.sort(rng.normal(0.3 if worth else 0.1, 0.15, K))[::-1].astype(np.float32)
    right_K = rng.random(K) < 1 / (1 + np.exp(-(10 * score_K - 5)))
    return Scored(QUERY_D, np.arange(K), score_K, score_K), right_K & worth


def make_cases(n, seed=0):
    rng = np.random.default_rng(seed)
    pairs = [draw(rng, True) for _ in range(n)]
    return [Case(found, right_K, draw(rng, False)[0]) for found, right_K in pairs]


def fit(cases, rate=0.05, foreign=()):
    return fit_scale(cases, list(foreign), lambda _: 9.0, rate, temperature=3.0, seed=0)


def test_probabilities_become_what_they_are_worth():
    scale, trial = fit(make_cases(400))
    figures = trial.figures(scale.threshold)
    assert figures["ece"] < 0.03 < figures["ece_before"]
    assert figures["brier"] < figures["brier_before"]
    found, _ = draw(np.random.default_rng(9), True)
    truth_K = 1 / (1 + np.exp(-(10 * found.score_K - 5)))
    assert scale.probabilities(found.score_K, found.first_K) == pytest.approx(truth_K, abs=0.08)


def test_a_new_sample_is_flagged_no_more_often_than_said():
    scale, trial = fit(make_cases(400), rate=0.1)
    fresh = make_cases(2_000, seed=1)
    said = [scale.is_no_match(one.found.score_K, one.found.first_K, 9.0) for one in fresh]
    none = [scale.is_no_match(one.without.score_K, one.without.first_K, 9.0) for one in fresh]
    assert np.mean(said) < 0.1 + 3 * (0.1 * 0.9 / 400) ** 0.5  # of a threshold set on 400 queries
    assert np.mean(none) > 0.5
    assert trial.figures(scale.threshold)["false_alarms"] <= 0.1


def test_a_better_score_is_never_less_probable():
    rng = np.random.default_rng(2)
    cases = make_cases(100)
    cases = [Case(one.found, rng.permutation(one.right_K), one.without) for one in cases]
    against = [Case(one.found, one.right_K[::-1].copy(), one.without) for one in cases]
    for scale in (fit(cases)[0], fit(against)[0]):
        found = cases[0].found
        assert (np.diff(scale.probabilities(found.score_K, found.first_K)) <= 1e-12).all()


def test_without_kinds_the_best_score_alone_is_the_evidence():
    cases = [Case(one.found, one.right_K, None) for one in make_cases(60)]
    scale, trial = fit(cases)
    best = np.array([case.found.score_K.max() for case in cases])
    found = scale.evidence(*[np.array([0.2, 0.9], np.float32)] * 2, familiar=9.0)
    assert found == pytest.approx((0.9 - best.mean()) / best.std(), abs=1e-4)
    assert "auroc_hidden" not in trial.figures(scale.threshold)


def test_too_few_queries_set_no_threshold():
    scale, _ = fit(make_cases(15), rate=0.05)
    assert scale.threshold is None
    assert not scale.is_no_match(*[np.full(3, -9, np.float32)] * 2, familiar=-9.0)


def test_the_threshold_counts_the_query_that_comes():
    evidence = [float(n) for n in range(1, 100)]  # 99 seen, one to come
    assert conformal_threshold(evidence, 0.05) == 5.0  # 4 of 99 lie below


def test_figures_are_of_queries_that_were_not_fitted_on():
    """Of scores that say nothing, a fit of the whole would still find something to say."""
    rng = np.random.default_rng(3)
    cases = []
    for _ in range(40):
        found, _ = draw(rng, True)
        cases.append(Case(found, rng.random(K) < 0.3, None))
    _, trial = fit(cases)
    assert trial.figures(None)["brier"] >= np.mean(trial.right) * (1 - np.mean(trial.right)) - 1e-3


def test_it_is_saved_and_read_as_it_was(tmp_path):
    scale, trial = fit(make_cases(60), foreign=[make_cases(1)[0].without])
    familiar = Familiar(0.5, 0.1, np.eye(3, dtype=np.float32))
    figures = trial.figures(scale.threshold)
    worth = Calibration(scale, None, familiar, 0.05, figures, trial.curves())
    worth.save(tmp_path / "calibration")
    again = Calibration.load(tmp_path / "calibration")
    assert again.first == scale
    assert again.reranked is None
    assert again.familiar(np.array([0, 0.9, 0], np.float32)) == pytest.approx((0.3 - 0.5) / 0.1)
    assert again.figures == worth.figures
    assert [tuple(point) for point in again.curves["after"]] == worth.curves["after"]
    assert len(trial.said) == 60 * PAGE
