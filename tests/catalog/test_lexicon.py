"""xmodal/catalog/lexicon.py: what texts in either language name."""

import pytest

from xmodal.catalog.lexicon import lexicon


def named(text, glossary=None):
    return [(m.concept.facet, m.concept.name) for m in lexicon(glossary).find(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nike Men's Navy Blue Shoes", ["men", "navy", "shoes"]),
        ("WOMEN summer tee", ["women", "summer", "t-shirt"]),
        ("男士黑色运动鞋", ["men", "black", "sports shoes"]),
        ("nike 跑鞋 男", ["sports shoes", "men"]),
        ("credit tangram womenfolk", []),  # names are whole words
    ],
)
def test_names_are_found_in_both_languages(text, found):
    assert [name for _, name in named(text)] == found


def test_the_glossary_adds_what_the_general_words_lack():
    glossary = {"usage": {"Formal": "正式"}, "base_colour": {"Red": "红色"}}
    assert named("red formal 正式", glossary) == [
        ("colour", "red"),
        ("usage", "Formal"),
        ("usage", "Formal"),
    ]


def test_a_longer_name_of_the_glossary_wins():
    assert named("casual shoes", {"kind of": {"Casual Shoes": "休闲鞋"}}) == [
        ("kind of", "Casual Shoes")
    ]
