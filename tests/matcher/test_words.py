"""xmodal/matcher/words.py: Latin and Chinese, seen and unseen."""

from pathlib import Path

import pytest

from xmodal.errors import MatcherError
from xmodal.matcher.words import Vocabulary, ngrams, words

TEXTS = ["red shoes", "red bag", "red shoes", "红色 连衣裙", "红色连衣裙", "navy 衬衫"]


def test_chinese_runs_are_read_as_characters_and_their_ngrams() -> None:
    assert ngrams("连衣裙") == ["连", "衣", "裙", "连衣", "衣裙", "连衣裙"]


def test_spaces_between_chinese_words_do_not_count() -> None:
    assert ngrams("红色 连衣裙") == ngrams("红色连衣裙")


def test_full_width_letters_and_case_do_not_count() -> None:
    assert words("ＲＥＤ　Shoes") == words("red shoes")


def test_code_switched_text_keeps_both_languages() -> None:
    assert {"navy", "polo", "衬", "衬衫", "navy polo"} <= set(ngrams("Navy Polo衬衫"))


@pytest.mark.parametrize(
    "text", ["旗袍", "鞋", "汉服 2024", "未知", "𠮷野家", "スカート", "👗", "!?"]
)
def test_no_query_maps_to_nothing(text: str) -> None:
    vocabulary = Vocabulary.build(TEXTS, limit=100)
    ids = vocabulary.encode(text)
    assert ids
    assert all(0 < one < len(vocabulary) for one in ids)


def test_a_blank_text_has_no_words() -> None:
    assert Vocabulary.build(TEXTS, limit=100).encode("  ") == []


def test_known_terms_have_ids_of_their_own_and_rare_words_share_buckets() -> None:
    vocabulary = Vocabulary.build(TEXTS, limit=100, min_count=2)
    red, shoes, both = vocabulary.encode("red shoes")
    assert len({red, shoes, both}) == 3
    assert min(red, shoes, both) > vocabulary.buckets
    assert vocabulary.encode("bag")[0] <= vocabulary.buckets  # seen once only


def test_an_unseen_pair_of_words_adds_nothing_to_its_words() -> None:
    vocabulary = Vocabulary.build(TEXTS, limit=100)
    assert len(vocabulary.encode("shoes red")) == 2


def test_the_limit_keeps_the_most_frequent_in_any_order_of_texts() -> None:
    first = Vocabulary.build(TEXTS, limit=3)
    assert first == Vocabulary.build(reversed(TEXTS), limit=3)
    assert "red" in first.terms
    assert len(first.terms) == 3


def test_it_is_saved_as_json(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(TEXTS, limit=100)
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.json").write_text('{"terms": [')
    with pytest.raises(MatcherError, match=r"vocabulary\.json"):
        Vocabulary.load(tmp_path / "vocabulary.json")
