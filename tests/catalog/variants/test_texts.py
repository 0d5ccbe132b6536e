"""xmodal/catalog/variants/texts.py: each variant means what its text means."""

import random
import unicodedata

import pytest
from opencc import OpenCC
from pypinyin import lazy_pinyin

from xmodal.catalog.lexicon import lexicon
from xmodal.catalog.variants.texts import text_variants, typos, vary

LEXICON = lexicon()
VARIANTS = text_variants(LEXICON)
ENGLISH = "Clarks Men's navy blue casual shoes"
CHINESE = "粉色 女士 手表"


def varied(text, name, seed=0):
    return vary(text, name, seed, VARIANTS)


def concepts(text):
    return [mention.concept.name for mention in LEXICON.find(text)]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "nike 跑鞋 男"])
def test_a_variant_is_a_function_of_text_and_seed_and_changes_the_text(name, text):
    first = varied(text, name)
    assert first == varied(text, name)
    assert first != text


def test_a_variant_applies_only_where_there_is_something_to_vary():
    assert {name for name in VARIANTS if varied(ENGLISH, name) is None} == {
        "other script",
        "pinyin",
    }
    assert {name for name in VARIANTS if varied("鞋", name) is None} >= {
        "missing spaces",
        "other case",
        "full width",
    }


def test_typos_are_as_many_as_asked_and_one_a_word():
    for seed in range(20):
        wrong = typos(ENGLISH, random.Random(seed), 3).split()
        changed = [(a, b) for a, b in zip(ENGLISH.split(), wrong, strict=True) if a != b]
        assert len(changed) == 3
        assert all(abs(len(a) - len(b)) <= 1 and a[0] == b[0] for a, b in changed)


def test_chinese_typos_sound_alike():
    wrong = varied(CHINESE, "three typos")
    assert sum(a != b for a, b in zip(CHINESE, wrong, strict=True)) == 3
    assert lazy_pinyin(wrong.replace(" ", "")) == lazy_pinyin(CHINESE.replace(" ", ""))


def test_case_spaces_and_width_can_be_taken_back():
    assert varied(ENGLISH, "other case").casefold() == ENGLISH.casefold()
    assert varied("RED SHOE", "other case") == "red shoe"
    assert varied(CHINESE, "missing spaces") == CHINESE.replace(" ", "")
    assert unicodedata.normalize("NFKC", varied(ENGLISH, "full width")) == ENGLISH


def test_the_other_script_goes_both_ways():
    traditional = varied(CHINESE, "other script")
    assert traditional == "粉色 女士 手錶"
    assert varied(traditional, "other script") == CHINESE
    assert OpenCC("t2s").convert(traditional) == CHINESE


def test_pinyin_is_what_the_characters_sound_like():
    assert varied("nike 跑鞋 男", "pinyin") == "nike pao xie nan"


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "Red Dresses"])
@pytest.mark.parametrize("name", ["synonyms", "mixed languages"])
def test_other_words_name_the_same(text, name):
    for seed in range(10):
        assert concepts(varied(text, name, seed)) == concepts(text)


def test_some_words_change_their_language_and_some_do_not():
    for seed in range(10):
        mixed = varied("nike running shoes men", "mixed languages", seed)
        assert mixed in {"nike running shoes 男士", "nike 运动鞋 men"}
