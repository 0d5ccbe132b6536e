"""xmodal/catalog/terms.py: what a query states, in both languages."""

import doctest

import pytest

from xmodal.catalog import terms
from xmodal.catalog.terms import ALL, COLOURS, GENDERS, SEASONS, stated


@pytest.mark.parametrize(
    ("text", "colours"),
    [
        ("Red shoes", ("red",)),
        ("redeemed predator", ()),
        ("nike 跑鞋 红色 男", ("red",)),
        ("粉红色连衣裙", ("pink",)),
        ("black and white scarf", ("black", "white")),
        ("Navy Blue shirt", ("navy",)),
    ],
)
def test_colours_are_read_in_both_languages(text, colours):
    assert stated(text, COLOURS) == colours


def test_women_are_not_men():
    assert stated("Women's watch", GENDERS) == ("women",)
    assert stated("男女通用 背包", GENDERS) == ("unisex",)
    assert stated("men’s jeans", GENDERS) == ("men",)


def test_seasons_are_read():
    assert stated("冬季 外套 for fall", SEASONS) == ("winter", "autumn")


def test_no_word_states_two_values():
    for values in ALL.values():
        words = [word for some in values.values() for word in some]
        assert len(words) == len(set(words))


def test_the_worked_example_holds():
    assert doctest.testmod(terms).failed == 0
