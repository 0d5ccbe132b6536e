"""xmodal/search/reorder.py: boosts, age, sorting and groups of hand-made candidates."""

import json
from datetime import date

import numpy as np
import pytest

from xmodal.index.filters import day_of
from xmodal.search.query import Candidates
from xmodal.search.reorder import groups, ordered, rescored
from xmodal.search.wishes import Boost, Decay, Order, Sort

TODAY = date(2026, 7, 1)


def candidates(*attributes, scores=(3.0, 2.0, 1.0), prices=(5.0, None, 1.0)):
    ids = [f"p{n}" for n in range(len(attributes))]
    texts = [json.dumps(row) for row in attributes]
    scores = np.array(scores[: len(ids)], np.float32)
    return Candidates(np.arange(len(ids)), scores, ids, ids, texts, prices[: len(ids)])


def test_boosts_add_up():
    boosts = (Boost("a", "x", 1.0), Boost("b", "y", 0.5), Boost("a", "x", -0.25))
    found = candidates({"a": "x", "b": "y"}, {"a": "z", "b": "y"}, {})
    assert rescored(found, Order(boosts), TODAY).tolist() == [4.25, 2.5, 1.0]


def test_a_lead_halves_with_each_half_life():
    found = candidates({"day": "2026-06-01"}, {"day": "2027-01-01"}, {})
    order = Order(decay=Decay("day", 30))
    assert rescored(found, order, TODAY).tolist() == pytest.approx([2.0, 2.0, 1.0])


def test_what_has_no_value_comes_last_either_way():
    found = candidates({"n": "10"}, {"n": "9"}, {"n": "many"})
    for sort, expected in [
        (Sort("n"), [1, 0, 2]),
        (Sort("n", "desc"), [0, 1, 2]),
        (Sort("price"), [2, 0, 1]),
        (Sort("price", "desc"), [0, 2, 1]),
    ]:
        assert ordered(found, found.scores, sort) == expected


def test_equal_scores_stand_by_id():
    found = candidates({}, {}, {})
    assert ordered(found, np.array([1, 2, 2], np.float32), None) == [1, 2, 0]


def test_who_has_no_group_stands_alone():
    found = candidates({"s": "1"}, {}, {"s": "1"})
    first, second, third = groups(found, "s")
    assert first == third != second


@pytest.mark.parametrize("text", ["", "2026", "20260531", "31-05-2026", "2026-13-01", "soon-ish"])
def test_only_an_iso_date_is_a_day(text):
    assert np.isnan(day_of(text))


def test_a_time_is_cut_to_its_day():
    assert day_of("2026-05-31T23:59:00Z") == day_of("2026-05-31") == date(2026, 5, 31).toordinal()
