"""xmodal/search/searcher.py: order and degradation, by stages of hand-made values."""

import asyncio
import time

import numpy as np

from xmodal.errors import Overloaded
from xmodal.search.query import Candidates, Encoded, Query
from xmodal.search.searcher import Searcher


class Encoder:
    async def encode(self, query, deadline_s):
        return Encoded(np.ones(2, np.float32))


class Retriever:
    """Twenty products a00, a01, ... with falling cosines."""

    async def retrieve(self, vector_D, k, wanted, kind):
        count = min(k, 20)
        scores = 1 - np.arange(count, dtype=np.float32) / 20
        ids = [f"a{n:02d}" for n in range(count)]
        return Candidates(np.arange(count), scores, ids, ids, ['{"k": "v"}'] * count)


class Reverser:
    """Puts what came last first, and remembers how many it was given."""

    def __init__(self, took_s=0.0, error=None):
        self.took_s, self.error, self.given = took_s, error, []

    async def rerank(self, encoded, candidates, deadline_s):
        self.given.append(len(candidates))
        await asyncio.sleep(self.took_s * len(candidates))
        if self.error:
            raise self.error
        return np.arange(len(candidates), dtype=np.float32)


def answer(query, reranker=None, within_s=5.0, candidate_s=0.0):
    searcher = Searcher(Encoder(), Retriever(), reranker, 10, candidate_s)
    return asyncio.run(searcher.answer(query, time.time() + within_s))


def ids(found):
    return [hit.product_id for hit in found.hits]


def test_text_is_reranked_by_default():
    found = answer(Query(text="shoe", limit=3), Reverser())
    assert ids(found) == ["a09", "a08", "a07"]
    assert [hit.score for hit in found.hits] == [9, 8, 7]
    assert list(found.degraded) == []
    assert set(found.took_ms) == {"encode", "retrieve", "rerank", "total"}


def test_a_picture_alone_keeps_the_order_of_the_first_stage():
    reranker = Reverser()
    assert ids(answer(Query(image=b"x", limit=3), reranker)) == ["a00", "a01", "a02"]
    assert reranker.given == []


def test_rerank_can_be_refused():
    assert ids(answer(Query(text="shoe", limit=2, rerank=False), Reverser())) == ["a00", "a01"]


def test_attributes_come_back_as_a_map():
    assert answer(Query(text="shoe", limit=1)).hits[0].attributes == {"k": "v"}


def test_all_hits_are_reranked_where_the_limit_is_above_the_depth():
    reranker = Reverser()
    assert len(answer(Query(text="shoe", limit=15), reranker).hits) == 15
    assert reranker.given == [15]


def test_little_time_means_fewer_candidates_and_says_so():
    reranker = Reverser()
    found = answer(Query(text="shoe", limit=2), reranker, within_s=0.5, candidate_s=0.1)
    assert 2 <= reranker.given[0] < 10
    assert list(found.degraded) == ["rerank_fewer"]


def test_no_time_means_no_rerank_and_says_so():
    found = answer(Query(text="shoe", limit=3), Reverser(), within_s=0.1, candidate_s=0.1)
    assert ids(found) == ["a00", "a01", "a02"]
    assert list(found.degraded) == ["rerank_skipped"]


def test_a_full_reranker_degrades_the_answer():
    found = answer(Query(text="shoe", limit=1), Reverser(error=Overloaded("full")))
    assert ids(found) == ["a00"]
    assert list(found.degraded) == ["rerank_skipped"]


def test_a_wish_that_the_release_cannot_grant_is_named():
    found = answer(Query(text="shoe", limit=1, rerank=True))
    assert list(found.degraded) == ["rerank_unavailable"]
    assert list(answer(Query(text="shoe", limit=1)).degraded) == []


def test_what_a_candidate_costs_is_learnt():
    searcher = Searcher(Encoder(), Retriever(), Reverser(took_s=0.005), 10)
    asyncio.run(searcher.answer(Query(text="shoe"), time.time() + 5))
    assert 0.2 * 0.005 <= searcher.candidate_s < 0.2 * 0.05  # the machine may be busy
