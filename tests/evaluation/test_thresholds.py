"""xmodal/evaluation/thresholds.py: precision and recall by hand and by scikit-learn's rules."""

import pytest

from tests.evaluation.test_verdict import SETTINGS, evaluation
from xmodal.evaluation.judge import judge
from xmodal.evaluation.sections import Judged
from xmodal.evaluation.tasks import Task
from xmodal.evaluation.thresholds import precision_recall, thresholds

QRELS = {"q": {"a": 1, "b": 1}, "r": {"c": 2, "d": 0}}
RUN = {"q": {"a": 0.9, "x": 0.5, "b": 0.2}, "r": {"c": 0.5, "d": 0.1}}


def result(run=RUN, qrels=QRELS):
    return judge("tuned", Task("text-image", "dev", qrels), run, {}, SETTINGS)


def test_the_curve_by_hand():
    """Five answers, three of them right; at 0.5 a right and a wrong one come together."""
    assert precision_recall(result(), QRELS) == [
        (0.9, 1.0, pytest.approx(1 / 3)),
        (0.5, pytest.approx(2 / 3), pytest.approx(2 / 3)),
        (0.2, pytest.approx(3 / 4), 1.0),
        (0.1, pytest.approx(3 / 5), 1.0),
    ]


def test_a_tie_is_shown_whole_in_whatever_order():
    mixed = {"r": RUN["r"], "q": {"b": 0.2, "x": 0.5, "a": 0.9}}
    assert precision_recall(result(mixed), QRELS) == precision_recall(result(), QRELS)


def test_an_empty_run_has_no_curve():
    assert precision_recall(result({}), QRELS) == []


def test_the_section_names_the_best_balance():
    judged = Judged([], None, evaluation(lambda n: 9, lambda n: 1), SETTINGS)
    found = thresholds(judged)
    assert found.verdict.startswith(
        "tuned balances best at a score of 20.000: 100% of what is shown"
    )
    assert {row[0] for row in found.tables[0].rows} == {"base", "tuned"}
