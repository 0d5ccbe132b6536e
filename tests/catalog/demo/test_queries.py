"""xmodal/catalog/demo/queries.py: who is relevant, and which queries are left out."""

from xmodal.catalog.demo.assortment import Offer, assortment
from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.queries import judged_queries


def test_a_product_with_all_that_is_stated_is_relevant():
    twins = [_offer("a", "dev"), _offer("b", "dev"), _offer("c", "dev", colour="blue")]
    judged = judged_queries(twins, "dev", seed=0)
    for query, relevant in judged.items():
        assert set(relevant) == ({"c"} if "blue" in query or "蓝" in query else {"a", "b"})


def test_a_query_that_another_part_answers_too_is_left_out():
    assert judged_queries([_offer("a", "dev"), _offer("b", "train")], "dev", seed=0) == {}


def test_a_query_with_more_than_four_answers_is_left_out():
    assert judged_queries([_offer(name, "dev") for name in "abcde"], "dev", seed=0) == {}


def test_both_languages_ask():
    queries = judged_queries(assortment(600, seed=1), "test", seed=1)
    chinese = [
        query for query in queries if any("\u4e00" <= letter <= "\u9fff" for letter in query)
    ]
    assert 0.4 < len(chinese) / len(queries) < 0.6


def test_grades_are_one():
    queries = judged_queries(assortment(300, seed=1), "test", seed=1)
    assert {grade for relevant in queries.values() for grade in relevant.values()} == {1}


def _offer(product_id: str, split, colour: str = "red") -> Offer:
    design = Design("mug", colour, "plain", "", "ceramic", "Orbit", (("shape", "tapered"),))
    return Offer(product_id, design, split, 1, True, "en")
