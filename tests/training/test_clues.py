"""xmodal/training/clues.py: which attributes are told, whose group is which, who names a group."""

import numpy as np
import pytest

from xmodal.errors import SettingsError
from xmodal.training.clues import build_clues, choose_attributes, open_clues

PRODUCTS = [{"gender": "Men", "colour": "red"}] * 5 + [{"gender": "Women"}] * 4 + [{"colour": "b"}]
TEXTS = ["Blue Men's shoe", "WOMEN shoe", "red shoe", "mention", "女士鞋", "shoe for her"]


def make_clues(bias="gender", facts=None):
    names, terms = ["gender", "colour"], {"Women": "女士"}
    return build_clues(PRODUCTS, names, bias, texts=TEXTS, facts=facts or {}, terms=terms)


def test_values_are_numbered_from_the_most_frequent_and_none_is_zero():
    clues = make_clues()
    assert clues.value_PA[:, 0].tolist() == [1] * 5 + [2] * 4 + [0]
    assert clues.value_PA[:, 1].tolist() == [1] * 5 + [0] * 4 + [2]
    assert clues.sizes == (2, 2)
    assert clues.group_P.tolist() == clues.value_PA[:, 0].tolist()
    assert clues.groups == 2


def test_a_text_names_a_group_by_a_whole_word_a_term_or_a_fact():
    clues = make_clues(facts={"shoe for her": {"gender=Women", "colour=red"}})
    assert clues.is_neutral_U.tolist() == [False, False, True, True, False, False]
    assert make_clues(bias=None).is_neutral_U.all()


def test_a_value_without_words_is_named_by_no_text():
    rows = [{"gender": "-"}, {"gender": "Men"}]
    clues = build_clues(rows, [], "gender", texts=["a shoe", "men"], facts={}, terms={})
    assert clues.is_neutral_U.tolist() == [True, False]


def test_a_batch_takes_its_rows(tmp_path):
    make_clues().save(tmp_path / "clues")
    taken = open_clues(tmp_path / "clues").take(np.array([9, 0]), np.array([2, 0]))
    assert taken.value_BA.tolist() == [[0, 2], [1, 1]]
    assert taken.group_B.tolist() == [0, 1]
    assert taken.is_neutral_B.tolist() == [True, False]


def test_the_attributes_that_most_products_have_are_told_at_most_five():
    products = [
        {"serial": str(n), "one": "x", "rare": "ab"[n % 2] if n < 20 else ""}
        | {f"common{k}": "ab"[n % 2] for k in range(4)}
        | {"kind": str(n % 3), "empty": ""}
        for n in range(40)
    ]
    assert choose_attributes(products) == ["common0", "common1", "common2", "common3", "kind"]
    few = [{key: row[key] for key in ("serial", "one", "rare")} for row in products]
    assert choose_attributes(few) == ["rare"]


def test_more_than_two_hundred_values_are_too_many():
    many = [{"maker": str(n % 201), "kind": "ab"[n % 2]} for n in range(2000)]
    assert choose_attributes(many) == ["kind"]


def test_what_no_product_has_is_one_line_that_names_what_they_have():
    with pytest.raises(SettingsError, match=r"'age' has no two values .* are colour, gender$"):
        make_clues(bias="age")
    with pytest.raises(SettingsError, match=r"training.tasks has `attributes`, and no attribute"):
        choose_attributes([{"serial": str(n)} for n in range(9)])
