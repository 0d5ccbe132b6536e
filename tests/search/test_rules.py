"""xmodal/search/rules.py: what each rule does, when and to whom, and what a bad file is told."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from xmodal.errors import RulesError
from xmodal.search.rules import Ruling, Shown, read_rules, rewritten

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
IDS = ["a", "b", "c", "d"]
SCORES = np.array([0.9, 0.7, 0.5, 0.1], np.float32)
PRODUCTS = [
    Shown("a", {"brand": "Acme", "size": "40"}, 10.0),
    Shown("b", {"brand": "Other"}, 20.0),
    Shown("c", {"brand": "Acme"}, 30.0),
    Shown("d", {}, None),
]


def rules(*given):
    return read_rules(json.dumps({"rules": list(given)}))


def ruling(*given, text="red shoe") -> Ruling:
    named = [{"id": f"r{n}"} | rule for n, rule in enumerate(given)]
    return rules(*named).at(NOW, text)


def test_pinned_products_take_their_places():
    found = ruling({"action": "pin", "products": ["d", "c"], "position": 2})
    assert [IDS[k] for k in found.placed(IDS, range(4))] == ["a", "d", "c", "b"]


def test_of_two_pins_for_a_place_the_first_has_it():
    pins = {"action": "pin", "products": ["d"]}, {"action": "pin", "products": ["c"]}
    assert [IDS[k] for k in ruling(*pins).placed(IDS, range(4))] == ["d", "c", "a", "b"]


def test_a_place_beyond_the_end_is_the_last():
    pin = {"action": "pin", "products": ["a", "nobody"], "position": 50}
    assert [IDS[k] for k in ruling(pin).placed(IDS, range(4))] == ["b", "c", "d", "a"]


def test_a_product_that_is_not_among_the_candidates_leaves_no_hole():
    assert ruling({"action": "pin", "products": ["zz"]}).placed(IDS, [2, 0]) == [2, 0]


def test_a_weight_is_a_share_of_the_spread():
    boost = {"action": "boost", "weight": 0.5, "where": {"brand": "Acme"}}
    bury = {"action": "bury", "weight": 1, "products": ["a"]}
    assert ruling(boost).moved(PRODUCTS, SCORES) == pytest.approx([1.3, 0.7, 0.9, 0.1])
    assert ruling(boost, bury).moved(PRODUCTS, SCORES) == pytest.approx([0.5, 0.7, 0.9, 0.1])


@pytest.mark.parametrize(
    ("choice", "hidden"),
    [
        ({"where": {"brand": "Acme"}}, "ac"),
        ({"where": {"brand": ["Acme", "Other"]}}, "abc"),
        ({"where": {"price": {"gte": 20}}}, "bc"),
        ({"where": {"price": {"gte": 20, "lte": 20}}}, "b"),
        ({"where": {"size": {"lte": 41}}}, "a"),
        ({"products": ["a", "b"], "where": {"brand": "Acme"}}, "a"),
    ],
)
def test_products_are_chosen_by_id_value_or_range(choice, hidden):
    found = ruling({"action": "hide"} | choice)
    assert "".join(one.product_id for one in PRODUCTS if found.hidden(one)) == hidden


@pytest.mark.parametrize(
    ("query", "text", "holds"),
    [
        ({"exact": "Red  Shoe"}, "red shoe", True),
        ({"exact": "red"}, "red shoe", False),
        ({"contains": "shoe"}, "Red SHOE", True),
        ({"contains": "hoe"}, "red shoe", False),
        ({"contains": "运动"}, "红色运动鞋", True),
        ({"contains": "sneakers"}, "红色sneakers 2026", True),
        ({"contains": "STRASSE"}, "straße", True),
        ({"contains": "shoe"}, "", False),
        ({"all": True}, "", True),
    ],
)
def test_a_rule_is_for_the_queries_that_it_names(query, text, holds):
    found = ruling({"action": "hide", "products": ["a"], "query": query}, text=text)
    assert bool(found.hides) == holds


@pytest.mark.parametrize(
    ("times", "is_on"),
    [
        ({}, True),
        ({"start": "2026-11-27T12:00:00Z"}, True),
        ({"start": "2026-11-27T20:00:00+08:00", "end": "2026-11-27T20:00:01+08:00"}, True),
        ({"end": "2026-11-27T12:00:00Z"}, False),
        ({"start": "2026-11-27T12:00:00-01:00"}, False),
    ],
)
def test_a_rule_holds_in_its_time(times, is_on):
    assert bool(ruling({"action": "hide", "products": ["a"]} | times)) == is_on


def test_synonyms_rewrite_whole_words_in_the_order_of_the_file():
    one = {"action": "synonyms", "words": ["sneakers", "trainer", "running trainers"], "to": "shoe"}
    two = {"action": "synonyms", "words": ["球鞋"], "to": "运动鞋", "query": {"contains": "球鞋"}}
    found = ruling(one, two, text="Red SNEAKERS 和球鞋, trainers")
    assert rewritten("Red SNEAKERS 和球鞋, trainers", found.synonyms) == (
        "Red shoe 和运动鞋, trainers"
    )
    assert found.named("Red SNEAKERS", []) == ["r0"]
    assert rewritten("红色sneakers", found.synonyms) == "红色shoe"


def test_a_condition_is_met_before_and_after_synonyms():
    swap = {"action": "synonyms", "words": ["sneakers"], "to": "shoes"}
    pins = [
        {"action": "pin", "products": [w], "query": {"contains": w}} for w in ("sneakers", "shoes")
    ]
    assert len(ruling(swap, *pins, text="red sneakers").pins) == 2


def test_only_rules_that_had_something_to_do_are_named():
    found = ruling(
        {"action": "boost", "weight": 1, "where": {"brand": "Acme"}},
        {"action": "bury", "weight": 1, "where": {"brand": "Nobody"}},
        {"action": "pin", "products": ["b"]},
        {"action": "hide", "products": ["d"]},
    )
    assert found.named("red shoe", PRODUCTS) == ["r2", "r0", "r3"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"id": "x", "action": "pin", "products": ["a"], "position": 0}, "'x', field 'position'"),
        ({"id": "x", "action": "pin", "products": []}, "rule 'x', field 'products'"),
        ({"id": "x", "action": "lift", "products": ["a"]}, "field 'action': must be one of pin"),
        ({"id": "x", "products": ["a"]}, "rule 'x', field 'action'"),
        ({"action": "pin", "products": ["a"]}, "rule number 2, field 'id'"),
        ({"id": "x", "action": "hide", "product": ["a"]}, "rule 'x', field 'product'"),
        ({"id": "x", "action": "hide"}, "rule 'x': give products, where or both"),
        ({"id": "x", "action": "boost", "products": ["a"], "weight": -1}, "field 'weight'"),
        ({"id": "x", "action": "hide", "products": ["a"], "query": {}}, "'query': give one of"),
        (
            {"id": "x", "action": "hide", "products": ["a"], "start": "2026-11-27T12:00:00"},
            "'x', field 'start': Input should have timezone info",
        ),
        (
            {
                "id": "x",
                "action": "hide",
                "products": ["a"],
                "start": "2026-11-27T12:00:00Z",
                "end": "2026-11-26T12:00:00Z",
            },
            "rule 'x': start must be before end",
        ),
        ({"id": "x", "action": "hide", "where": {"price": {}}}, "rule 'x', field 'where.price"),
        ({"id": "good", "action": "hide", "products": ["a"]}, "two rules are called 'good'"),
        ("nothing", "rule number 2"),
    ],
)
def test_a_fault_names_rule_and_field(rule, said):
    with pytest.raises(RulesError) as caught:
        rules({"id": "good", "action": "hide", "products": ["a"]}, rule)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, "[]", '{"rule": []}', '{"rules": {}}', "null"]
)
def test_what_is_no_file_of_rules_is_told_so(text):
    with pytest.raises(RulesError, match="rules.json"):
        read_rules(text)


def test_the_example_of_the_documentation_is_a_file_of_rules():
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    assert {rule.action for rule in read_rules(example).rules} == {
        *("pin", "boost", "bury", "hide", "synonyms"),
    }


def test_no_rule_is_no_rule():
    found = rules().at(NOW + timedelta(days=1), "a")
    assert not found
    assert found.moved([], np.zeros(0, np.float32)).tolist() == []
    assert found.placed(IDS, [1, 0]) == [1, 0]
