"""xmodal/catalog/captions.py: lines that state some facts of a product."""

import json
import random

import pytest

from xmodal.catalog.captions import (
    PER_PRODUCT,
    Vocabulary,
    chinese,
    describe,
    english,
    read_glossary,
    spelled_as,
)
from xmodal.errors import CatalogError

SHOE = {"article_type": "Shoes", "colour": "Red", "gender": "Women", "brand": "Nix"}
WORDS = Vocabulary(("article_type", "brand", "colour", "gender"), "article_type")
GLOSSARY = {
    "article_type": {"Shoes": "鞋"},
    "colour": {"Red": "红色"},
    "gender": {"Women": "女士"},
}


def many(make, n=200):
    return [caption for seed in range(n) for caption in make(random.Random(seed))]


def test_a_caption_says_its_facts_and_no_more():
    for caption in many(lambda rng: english(SHOE, WORDS, rng)):
        stated = dict(fact.split("=") for fact in caption.facts)
        assert sorted(caption.text.split()) == sorted(stated.values())
        assert stated.items() <= SHOE.items()
        assert 1 <= len(stated) <= 4


def test_the_kind_comes_last_mostly():
    texts = [c.text for c in many(lambda rng: english(SHOE, WORDS, rng)) if " " in c.text]
    with_kind = [text for text in texts if "Shoes" in text]
    assert 0.6 < sum(text.endswith("Shoes") for text in with_kind) / len(with_kind) < 1


def test_chinese_comes_with_and_without_spaces_in_several_orders():
    texts = {c.text for c in many(lambda rng: chinese(SHOE, GLOSSARY, "article_type", rng))}
    assert {"红色鞋", "红色 鞋", "女士红色鞋", "红色女士鞋", "女士 红色 鞋", "鞋"} <= texts


def test_chinese_says_only_what_the_glossary_knows():
    other = SHOE | {"colour": "Mauve"}
    captions = many(lambda rng: chinese(other, GLOSSARY, "article_type", rng))
    assert {fact for c in captions for fact in c.facts} == {"article_type=Shoes", "gender=Women"}
    assert chinese({"colour": "Mauve"}, GLOSSARY, "article_type", random.Random(0)) == []


def test_a_product_has_few_captions_fixed_by_the_seed():
    one, two = (english(SHOE, WORDS, random.Random("7:p1")) for _ in range(2))
    assert one == two
    assert len(one) == PER_PRODUCT["en"]


def test_what_describes_nothing_is_left_out():
    shop = [
        {
            "article_type": f"kind {i % 20}",
            "colour": f"colour {i % 5}",
            "serial": f"S{i}",
            "shop": "ours",
            "text": "long " * (9 + i % 2),
            "year": str(2010 + i % 3),
        }
        for i in range(200)
    ]
    assert describe(shop) == Vocabulary(("article_type", "colour"), "article_type")


def test_a_shop_without_attributes_has_no_captions():
    words = describe([{}, {}])
    assert words == Vocabulary((), None)
    assert english({}, words, random.Random(0)) == []


@pytest.mark.parametrize("content", ["[]", "{", '{"colour": "红"}', '{"colour": {"Red": 7}}'])
def test_a_glossary_of_another_form_is_named(content, tmp_path):
    (tmp_path / "glossary.zh.json").write_text(content)
    with pytest.raises(CatalogError, match="glossary.zh.json"):
        read_glossary(tmp_path / "glossary.zh.json")


def test_a_glossary_is_read(tmp_path):
    (tmp_path / "g.json").write_text(json.dumps(GLOSSARY), encoding="utf-8")
    assert read_glossary(tmp_path / "g.json") == GLOSSARY


def test_a_glossary_finds_attributes_in_any_case():
    glossary = {"Colour": {"Red": "红色"}, "size": {"S": "小"}, "other": {"x": "别"}}
    assert list(spelled_as(glossary, {"colour", "SIZE", "Size", "size"})) == [
        "colour",
        "size",
        "other",
    ]
