"""xmodal/retrieval/reliability.py: values by hand, and scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from xmodal.retrieval.reliability import auroc, reliability


def test_the_error_is_the_gap_between_said_and_seen():
    found = reliability([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 0], bins=2)
    assert found.said == pytest.approx([0.1, 0.8])
    assert found.seen == [0.0, 0.5]
    assert found.ece == pytest.approx((2 * 0.1 + 2 * 0.3) / 4)
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.04 + 0.64) / 4)


def test_probabilities_that_are_true_have_next_to_no_error():
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    assert reliability(said, rng.random(20_000) < said).ece < 0.02
    assert reliability(said, rng.random(20_000) < said**2).ece > 0.1


def test_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    said, event = rng.random(300).round(1), rng.random(300) < 0.3
    assert reliability(said, event).brier == pytest.approx(brier_score_loss(event, said))
    assert auroc(said[~event], said[event]) == pytest.approx(roc_auc_score(event, said))


def test_nothing_is_no_error():
    assert reliability([], []).ece == 0.0
    assert auroc([], [1.0]) == 0.0
