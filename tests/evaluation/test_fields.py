"""xmodal/evaluation/fields.py: a product's vector against its pictures alone."""

from dataclasses import replace

import pytest

from tests.catalogs import make_product
from tests.evaluation.planted import judged_as
from xmodal.evaluation.fields import product_vectors
from xmodal.matcher.fields import FieldWeights

N = 60
NAMES = [f"{a}{b}" for a in "abcdefgh" for b in "stuvwxyz"][:N]
TITLES = FieldWeights({"picture": 0.01, "title": 0.98, "attributes": 0.01})


def name_in(text):
    return next((word for word in text.split() if word in NAMES), text)


def judge(folder, query="buy {}", weights=TITLES):
    """Titles tell all, pictures nothing."""
    products = [
        make_product(n, title=f"new {name}", split="dev", attributes=[("colour", "red")])
        for n, name in enumerate(NAMES)
    ]
    queries = {query.format(name): {f"p{n:03d}": 1} for n, name in enumerate(NAMES)}
    judged = judged_as(folder, products, queries, lambda p: "same", hears=name_in)
    contender = judged.contenders[0]
    matcher = replace(contender.matcher, fields=weights)
    return replace(judged, contenders=[replace(contender, matcher=matcher)])


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    return product_vectors(judge(tmp_path_factory.mktemp("shop")))


def found(section, name):
    one = next(one for one in section.data["compared"] if one["name"] == name)
    return one["found"]["recall@10"]


def test_text_that_tells_what_pictures_do_not_is_more_than_chance(section):
    learnt = found(section, "learnt weights")
    assert learnt["ours"] > 0.95 > 0.3 > learnt["theirs"]
    assert learnt["low"] > 0
    assert section.verdict.endswith("more than chance.")
    assert section.data["queries"] == N


def test_a_lost_field_costs_what_it_told(section):
    lacks = {
        name: found(section, f"learnt weights, relevant products lack their {name}")["ours"]
        for name in ("picture", "title", "attributes")
    }
    assert lacks["picture"] > 0.95
    assert lacks["attributes"] > 0.95
    assert lacks["title"] < 0.4


def test_queries_that_are_a_searched_line_are_not_measured(tmp_path):
    section = product_vectors(judge(tmp_path, query="New  {}"))
    assert section.verdict.startswith("Not measured: all but 0 of the 60 queries")


def test_without_learnt_weights_there_is_no_section(tmp_path):
    assert product_vectors(judge(tmp_path, weights=None)) is None
