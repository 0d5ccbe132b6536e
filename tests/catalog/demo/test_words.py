"""xmodal/catalog/demo/words.py: every value has words in both languages, and none is ambiguous."""

import pytest

from xmodal.catalog.demo.emblems import BRANDS
from xmodal.catalog.demo.kinds import KINDS
from xmodal.catalog.demo.palette import PALETTE
from xmodal.catalog.demo.words import glossary, words


def test_every_value_that_a_product_can_have_has_words():
    known = words()
    for name, kind in KINDS.items():
        assert name in known["type"]
        assert kind.category in known["category"]
        assert set(kind.patterns) <= set(known["pattern"])
        assert set(kind.materials) <= set(known["material"])
        for part, values in kind.parts.items():
            assert set(values) <= set(known[part]), (name, part)
    assert set(known["colour"]) == set(PALETTE)
    assert set(known["brand"]) == set(BRANDS)


@pytest.mark.parametrize("attribute", sorted(words()))
def test_no_word_means_two_values_of_one_attribute(attribute):
    for lang in ("en", "zh"):
        said = [word for value in words()[attribute].values() for word in getattr(value, lang)]
        assert len(said) == len(set(said))


def test_chinese_words_are_chinese():
    terms = [word for values in words().values() for value in values.values() for word in value.zh]
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in term) for term in terms)


def test_the_glossary_gives_the_first_chinese_word():
    assert glossary()["colour"]["navy"] == "藏青色"
    assert glossary()["type"]["t-shirt"] == "T恤"
