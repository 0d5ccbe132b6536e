"""xmodal/training/space.py: what may be searched, and where a trial stands."""

import pytest

from tests.training.toy import make_plan
from xmodal.errors import SettingsError
from xmodal.settings import Settings
from xmodal.training.space import at_point, check_space, first_point


def make_settings(*items, **training):
    return Settings.model_validate({"tuning": {"space": items}, "training": training})


RATE = {"setting": "training.learning_rate", "low": 1e-4, "high": 1e-2, "log": True}
DROPOUT = {"setting": "matcher.dropout", "choices": [0.1, 0.3]}


def test_rates_and_dropout_may_be_searched():
    check_space(make_settings(RATE, DROPOUT))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"setting": "training.workers", "choices": [1, 2]}, "cannot be searched"),
        ({"setting": "matcher.dim", "choices": [64]}, "cannot be searched"),
        ({"setting": "training.learning_rat", "choices": [1.0]}, "cannot be searched"),
        ({"setting": "training.weight_decay", "low": 0.2, "high": 0.1}, "`low` below `high`"),
        ({"setting": "training.weight_decay"}, "needs `choices`"),
        (RATE | {"low": 0.0}, "needs `low` above 0"),
        ({"setting": "training.label_smoothing", "low": 0.0, "high": 2.0}, "less than 1"),
        ({"setting": "training.batch", "choices": [65]}, "equal parts"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(item, reason):
    with pytest.raises(SettingsError, match=reason):
        check_space(make_settings(item))


def test_the_search_begins_with_the_settings_as_they_stand():
    settings = make_settings(RATE, DROPOUT, learning_rate=0.002)
    assert first_point(settings) == {"training.learning_rate": 0.002, "matcher.dropout": 0.3}
    assert first_point(make_settings(RATE, learning_rate=0.5)) is None


def test_a_point_changes_its_settings_and_no_other(tmp_path):
    plan = make_plan(tmp_path)
    there = at_point(plan, {"training.learning_rate": 0.5, "matcher.dropout": 0.1})
    assert there.training == plan.training | {"learning_rate": 0.5}
    assert (there.dropout, there.images) == (0.1, plan.images)
