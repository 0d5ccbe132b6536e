"""xmodal/evaluation/groups.py: what queries say and look for, by hand, in both languages."""

import doctest

import pytest

from tests.catalogs import make_catalog, make_product
from xmodal.evaluation import groups
from xmodal.evaluation.groups import KNOWN_PAIRS, NEW_PAIR, query_groups, read_known
from xmodal.evaluation.tasks import Task

TEXTS = {
    "a": "red shoe",
    "b": "nike 男士 红色 跑步鞋",
    "c": "a very long query for zebra boots of women in blue",
    "d": "green bag",
}
QRELS = {"a": {"p000": 1}, "b": {"p001": 1}, "c": {"p002": 1, "p000": 0}, "d": {"p003": 1}}


def looks(number, colour, kind, split="train"):
    attributes = [("farbe", colour), ("article_type", kind)]
    title = f"{colour} {kind}"
    return make_product(number, title=title, attributes=attributes, split=split)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    seen = [("red", "shoe"), ("blue", "shoe"), ("red", "bag"), ("green", "hat"), ("blue", "bag")]
    asked = [("red", "shoe"), ("red", "shoe"), ("blue", "bag"), ("green", "bag")]
    products = [looks(n, *one, split="dev") for n, one in enumerate(asked)]
    products += [looks(10 + n, *seen[n % 5]) for n in range(60)]
    catalog = make_catalog(tmp_path_factory.mktemp("groups") / "c", products)
    task = Task("text-image", "dev", QRELS, texts=TEXTS, langs=dict.fromkeys(TEXTS, "en"))
    return query_groups(task, read_known(catalog, [task]))


def test_length_counts_two_characters_as_a_word(found):
    lengths = {"a": "1 to 2 words", "b": "5 to 8 words", "c": "9 or more words"}
    assert lengths.items() <= found["length"].items()


def test_the_rarest_word_tells_head_from_tail(found):
    assert found["rarest word"]["a"] == "body: 10 to 99 in train"
    assert found["rarest word"]["c"] == "unknown to train"


def test_colour_and_gender_are_read_from_the_query(found):
    assert found["colour word"] == {"a": "red", "b": "red", "c": "blue", "d": "green"}
    assert found["gender word"] == {"a": "none", "b": "men", "c": "women", "d": "none"}


def test_a_pair_of_known_values_never_seen_together_is_new(found):
    assert found["combination"]["d"] == NEW_PAIR
    assert found["combination"]["a"] == KNOWN_PAIRS


def test_category_and_attributes_have_the_catalogues_names(found):
    assert found["category (article_type)"] == {"a": "shoe", "b": "shoe", "c": "bag", "d": "bag"}
    assert found["farbe"]["d"] == "green"


def test_the_worked_example_holds():
    assert doctest.testmod(groups).failed == 0
