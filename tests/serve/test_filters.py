"""serve/filters.py: what a filter may look like, and how fast what may not is refused."""

import json
import time

import pytest
from pydantic import ValidationError

from serve.filters import filter_of
from serve.problems import invalid
from serve.schemas import SearchRequest
from xmodal.index.filters import NoneOf, Range


def refused(**filters):
    body = json.loads(json.dumps({"text": "a", "filter": filters}))
    with pytest.raises(ValidationError) as caught:
        SearchRequest.model_validate(body)
    first = caught.value.errors()[0]
    problem = invalid(first, SearchRequest, first["loc"])
    assert problem.status == 400
    return problem


def test_every_kind_reaches_the_index():
    wire = {"a": "x", "b": ["x", "y"], "c": {"not": ["x"]}, "price": {"gte": 10, "lt": 50.5}}
    request = SearchRequest.model_validate({"text": "a", "filter": wire})
    assert dict(filter_of(request.filter)) == {
        "a": ("x",),
        "b": ("x", "y"),
        "c": NoneOf(("x",)),
        "price": Range(gte=10.0, lt=50.5),
    }


@pytest.mark.parametrize(
    "given",
    [
        5,
        None,
        True,
        {},
        {"gte": "10"},
        {"gte": True},
        {"gte": float("nan")},
        {"lt": float("inf")},
        {"gte": 1, "gt": 1},
        {"gte": 5, "lt": 4},
        {"from": 5},
        {"not": []},
        {"not": "red"},
        {"not": [5]},
        {"not": ["red"], "gte": 5},
        [["red"]],
        ["red", None],
    ],
)
def test_anything_else_is_refused_and_placed(given):
    assert refused(price=given).field == "filter.price"


def test_a_hundred_thousand_values_are_refused_at_once():
    many = [str(n) for n in range(100_000)]
    start = time.perf_counter()
    assert refused(colour=many).code == "too_large"
    assert refused(colour={"not": many}).code == "too_large"
    assert refused(**dict.fromkeys(many, "x")).code == "too_large"
    assert time.perf_counter() - start < 2
