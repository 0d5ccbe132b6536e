"""serve/answers.py: equal searches share their work; what was found before stands in at the end."""

import asyncio

import pytest

from serve.answers import Answers
from serve.schemas import Hit, ReleaseIds, SearchAnswer, SearchRequest
from xmodal.errors import Overloaded

IDS = ReleaseIds(id="r1", matcher="m/1", index="i", catalog="c")


def found(*products, degraded=()):
    hits = [
        Hit.model_construct(product_id=p, score=1.0, title="", attributes={}, probability=None)
        for p in products
    ]
    return SearchAnswer.model_construct(
        query_id="first",
        hits=hits,
        release=IDS,
        degraded=list(degraded),
        took_ms={},
        no_good_match=False,
        facets={},
        next_cursor="more",
    )


class Work:
    def __init__(self, *answers):
        self.answers, self.runs = list(answers), 0

    async def __call__(self):
        self.runs += 1
        await asyncio.sleep(0.01)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ask(answers, work, release="r1", gone=(), **body):
    request = SearchRequest.model_validate({"text": "shoe"} | body)
    return answers.answer(request, work, release, lambda product: product not in gone)


async def test_equal_searches_at_once_are_one_with_an_id_each():
    answers, work = Answers(), Work(found("a"))
    both = await asyncio.gather(ask(answers, work), ask(answers, work))
    assert work.runs == 1
    assert len({one.query_id for one in both}) == 2
    assert [one.hits[0].product_id for one in both] == ["a", "a"]


async def test_another_limit_or_deadline_is_another_search():
    answers, work = Answers(), Work(found("a"), found("b"), found("c"))
    await asyncio.gather(
        *[ask(answers, work, **b) for b in ({}, {"limit": 3}, {"deadline_ms": 99})]
    )
    assert work.runs == 3


async def test_where_there_is_no_time_the_last_answer_stands_in_and_says_so():
    answers = Answers()
    work = Work(found("a", "b"), Overloaded("full"))
    await ask(answers, work)
    kept = await ask(answers, work, gone={"a"}, deadline_ms=10)
    assert [hit.product_id for hit in kept.hits] == ["b"]
    assert kept.degraded == ["cached_answer"]
    assert kept.next_cursor is None


@pytest.mark.parametrize("first", [None, "degraded", "other release"])
async def test_nothing_else_stands_in(first):
    answers, work = Answers(), Work(Overloaded("full"))
    if first is not None:
        degraded = ["rerank_skipped"] if first == "degraded" else []
        await ask(answers, Work(found("a", degraded=degraded)))
    with pytest.raises(Overloaded):
        await ask(answers, work, release="r2" if first == "other release" else "r1")
