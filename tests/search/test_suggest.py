"""xmodal/search/suggest.py: what was typed so far leads to titles, mistyped or not."""

import pytest

from xmodal.search import suggest as module
from xmodal.search.suggest import Suggester

TITLES = [
    "Red Running Shoes",
    "Red Running Shoes",
    "Red Dress",
    "Blue Running Shorts",
    "Nike Red Sneakers",
    "红色连衣裙",
    "红色运动鞋",
    "",
]


@pytest.fixture(scope="module")
def suggester():
    return Suggester(TITLES)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("re", ["Red Running Shoes", "Red Dress", "Nike Red Sneakers"]),
        ("RED run", ["Red Running Shoes"]),
        ("running blue", ["Blue Running Shorts"]),
        ("red snea", ["Nike Red Sneakers"]),
        ("red sneekers", ["Nike Red Sneakers"]),
        ("runing shoes", ["Red Running Shoes"]),
        ("rde", []),
        ("红色", ["红色连衣裙", "红色运动鞋"]),
        ("运动", ["红色运动鞋"]),
        ("purple", []),
        ("  ", []),
        ("!?", []),
    ],
)
def test_titles_go_on_from_what_was_typed(suggester, typed, found):
    assert suggester.suggest(typed, limit=5) == found


def test_titles_that_hold_the_very_text_come_first():
    some = Suggester(["Shoes in Running Red", "Running Shoes"])
    assert some.suggest("running shoes", 2) == ["Running Shoes", "Shoes in Running Red"]


def test_no_more_than_asked_for_and_the_frequent_first(suggester):
    assert suggester.suggest("r", limit=1) == ["Red Running Shoes"]


def test_of_too_many_titles_the_frequent_are_kept(monkeypatch):
    monkeypatch.setattr(module, "TITLES", 1)
    assert Suggester(TITLES).suggest("red", 9) == ["Red Running Shoes"]
