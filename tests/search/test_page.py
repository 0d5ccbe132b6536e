"""xmodal/search/page.py through the searcher: an index that changes between two pages."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from xmodal.search.page import DEPTH
from xmodal.search.query import Candidates, Encoded, Query, Reranked
from xmodal.search.searcher import Searcher
from xmodal.search.wishes import Boost, Order, Sort


class Encoder:
    calls = 0

    async def encode(self, query, deadline_s):
        self.calls += 1
        return Encoded(np.ones(2, np.float32))


class Shop:
    """Products with falling cosines, some of them equal; `gone` may grow between pages."""

    def __init__(self, count):
        self.ids = [f"a{n:05d}" for n in range(count)]
        self.gone, self.asked = set(), []

    async def retrieve(self, vector_D, k, wanted, kind, deadline_s):
        self.asked.append(k)
        left = [n for n in range(len(self.ids)) if self.ids[n] not in self.gone][:k]
        ids = [self.ids[n] for n in left]
        scores = np.array([1 - n // 3 / 1000 for n in left], np.float32)
        texts = [f'{{"group": "{n % 7}"}}' for n in left]
        return Candidates(np.array(left), scores, ids, ids, texts, [1.0] * len(ids))


class Shuffler:
    """Another order on each call, as no reranker should have: a page must not ask it again."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    async def rerank(self, encoded, candidates, deadline_s):
        return Reranked(self.rng.normal(size=len(candidates)).astype(np.float32), 0.0)


def read(searcher, query, between=lambda page: None):
    found, page = [], 0
    while True:
        answer = asyncio.run(searcher.answer(query, time.time() + 30))
        found += [hit.product_id for hit in answer.hits]
        if answer.place is None:
            return found
        page += 1
        assert page < 200  # a page that leads to itself
        between(page)
        query = replace(query, place=answer.place)


@pytest.mark.parametrize("limit", [1, 9, 100])
@pytest.mark.parametrize("order", [Order(), Order((Boost("group", "3", 1.0),))])
def test_a_reranker_that_wavers_splits_no_pages(limit, order):
    shop, encoder = Shop(120), Encoder()
    searcher = Searcher(encoder, shop, Shuffler(), 30)
    found = read(searcher, Query(text="a", limit=limit, order=order))
    assert sorted(found) == shop.ids
    assert found[max(30, limit) :] == shop.ids[max(30, limit) :]
    assert encoder.calls == 1


def test_no_more_than_the_depth_is_paged_through():
    shop = Shop(DEPTH + 50)
    found = read(Searcher(Encoder(), shop, Shuffler(), 30), Query(text="a", limit=100))
    assert sorted(found) == shop.ids[:DEPTH]
    assert max(shop.asked) == DEPTH


def test_a_window_grows_with_the_pages():
    shop = Shop(500)
    searcher = Searcher(Encoder(), shop, Shuffler(), 30)
    answer = asyncio.run(searcher.answer(Query(text="a", limit=10), time.time() + 30))
    query = Query(text="a", limit=10, place=answer.place)
    asyncio.run(searcher.answer(query, time.time() + 30))
    assert shop.asked == [30, 41]


def test_products_that_go_between_pages_cost_no_others():
    shop = Shop(120)

    def remove(page):
        shop.gone |= {shop.ids[page], shop.ids[40 + page], shop.ids[119 - page]}

    found = read(Searcher(Encoder(), shop, Shuffler(), 30), Query(text="a", limit=9), remove)
    assert len(set(found)) == len(found)
    assert set(shop.ids) - shop.gone <= set(found)


@pytest.mark.parametrize("when", [1, 5])
@pytest.mark.parametrize("sort", [None, Sort("price")])
def test_products_that_come_between_pages_cost_no_others(when, sort):
    shop = Shop(200)
    first = set(shop.ids[60:])
    shop.gone = set(shop.ids[:60])  # nearer than all others, and not there yet

    def add(page):
        shop.gone = shop.gone if page < when else set()

    query = Query(text="a", limit=9, order=Order(sort=sort))
    found = read(Searcher(Encoder(), shop, Shuffler(), 60), query, add)
    assert len(set(found)) == len(found)
    assert (first if sort is None else set(shop.ids[60:120])) <= set(found)


def test_collapse_holds_across_head_tail_and_pages():
    query = Query(text="a", limit=2, order=Order(collapse="group"))
    found = read(Searcher(Encoder(), Shop(50), Shuffler(), 3), query)
    assert sorted(int(name[1:]) % 7 for name in found) == list(range(7))
