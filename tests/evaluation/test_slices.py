"""xmodal/evaluation/slices.py: groups of queries that are large enough to say something."""

import pytest

from xmodal.evaluation.slices import OTHERS, slice_means


def table(values):
    return {"mrr@10": {f"q{i:02d}": float(value) for i, value in enumerate(values)}}


def test_each_language_has_its_mean():
    langs = {f"q{i:02d}": "zh" if i < 20 else "en" for i in range(50)}
    found = slice_means(table([0.2] * 20 + [0.5] * 30), {"lang": langs})
    assert found["lang"]["zh"] == pytest.approx({"queries": 20, "mrr@10": 0.2})
    assert found["lang"]["en"] == pytest.approx({"queries": 30, "mrr@10": 0.5})


def test_too_small_a_value_has_its_size_and_no_mean():
    langs = {f"q{i:02d}": "zh" if i < 19 else "en" for i in range(50)}
    found = slice_means(table([1.0] * 50), {"lang": langs})
    assert found["lang"] == {"en": {"queries": 31, "mrr@10": 1.0}, "zh": {"queries": 19}}


def test_a_group_of_one_value_is_no_slice():
    assert slice_means(table([1.0] * 50), {"lang": {f"q{i:02d}": "en" for i in range(50)}}) == {}


def test_nothing_large_enough_is_no_slice():
    assert slice_means(table([1.0] * 50), {"id": {f"q{i:02d}": str(i) for i in range(50)}}) == {}


def test_of_many_values_the_largest_are_shown_and_the_rest_is_one():
    kinds = {f"q{i:02d}": "shoe" if i < 30 else f"kind {i}" for i in range(60)}
    found = slice_means(table([1.0] * 30 + [0.0] * 30), {"kind": kinds})["kind"]
    assert next(iter(found)) == "shoe"
    assert list(found)[-1] == OTHERS
    assert len(found) == 13
    assert sum(row["queries"] for row in found.values()) == 60
    assert found["shoe"]["mrr@10"] == 1.0


def test_queries_without_a_value_are_in_no_slice():
    half = {f"q{i:02d}": "a" if i % 2 else "b" for i in range(40)}
    found = slice_means(table([1.0] * 60), {"colour": half})
    assert [row["queries"] for row in found["colour"].values()] == [20, 20]
