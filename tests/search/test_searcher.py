"""xmodal/search/searcher.py: order and degradation, by stages of hand-made values."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.homes import tiny_calibration
from xmodal.errors import DeadlineExceeded, Overloaded
from xmodal.matcher.calibration import Familiar
from xmodal.search.query import Candidates, Encoded, Query, Reranked
from xmodal.search.searcher import Searcher


class Encoder:
    def __init__(self, took_s=0.0):
        self.took_s = took_s

    async def encode(self, query, deadline_s):
        await asyncio.sleep(self.took_s)
        return Encoded(np.ones(2, np.float32))


class Retriever:
    """Twenty products a00, a01, ... with falling cosines."""

    def __init__(self, took_s=0.0):
        self.took_s, self.deadline_s = took_s, None

    async def retrieve(self, vector_D, k, wanted, kind, deadline_s):
        self.deadline_s = deadline_s
        await asyncio.sleep(self.took_s)
        count = min(k, 20)
        scores = 1 - np.arange(count, dtype=np.float32) / 20
        ids = [f"a{n:02d}" for n in range(count)]
        return Candidates(np.arange(count), scores, ids, ids, ['{"k": "v"}'] * count)


class Reverser:
    """Puts what came last first, and remembers how many it was given."""

    def __init__(self, took_s=0.0, error=None, wait_s=0.0):
        self.took_s, self.error, self.wait_s, self.given = took_s, error, wait_s, []

    async def rerank(self, encoded, candidates, deadline_s):
        self.given.append(len(candidates))
        run_s = self.took_s * len(candidates)
        await asyncio.sleep(self.wait_s + run_s)
        if self.error:
            raise self.error
        return Reranked(np.arange(len(candidates), dtype=np.float32), run_s)


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


def test_what_a_candidate_costs_is_learnt_without_the_wait():
    searcher = Searcher(Encoder(), Retriever(), Reverser(took_s=0.005, wait_s=0.3), 10)
    asyncio.run(searcher.answer(Query(text="shoe"), time.time() + 5))
    assert searcher.candidate_s == pytest.approx(0.2 * 0.005)


def test_a_reranker_that_was_too_dear_is_tried_again():
    searcher = Searcher(Encoder(), Retriever(), Reverser(), 10, candidate_s=0.5)

    async def run():
        return [
            (await searcher.answer(Query(text="a"), time.time() + 2)).degraded for _ in "123456"
        ]

    degraded = asyncio.run(run())
    assert degraded[0] == ["rerank_skipped"]
    assert degraded[-1] == []


def test_a_rerank_is_not_waited_for_beyond_the_deadline():
    start = time.perf_counter()
    found = answer(Query(text="shoe", limit=2), Reverser(wait_s=5), within_s=0.3)
    assert time.perf_counter() - start < 2
    assert ids(found) == ["a00", "a01"]
    assert list(found.degraded) == ["rerank_skipped"]


def test_a_reranker_that_came_too_late_is_asked_for_less():
    searcher = Searcher(Encoder(), Retriever(), Reverser(wait_s=5), 10)
    asyncio.run(searcher.answer(Query(text="shoe"), time.time() + 0.3))
    assert searcher.candidate_s >= 0.2 * 0.2 / 10


@pytest.mark.parametrize("stages", [(Encoder(5), Retriever()), (Encoder(), Retriever(5))])
def test_no_answer_at_all_in_time_is_said_in_time(stages):
    start = time.perf_counter()
    with pytest.raises(DeadlineExceeded, match="encode|retrieve"):
        asyncio.run(Searcher(*stages, None).answer(Query(text="shoe"), time.time() + 0.2))
    assert time.perf_counter() - start < 2


def test_every_stage_is_told_the_deadline():
    retriever = Retriever()
    deadline_s = time.time() + 5
    asyncio.run(Searcher(Encoder(), retriever, None).answer(Query(text="shoe"), deadline_s))
    assert retriever.deadline_s == deadline_s


def calibrated(query, threshold, reranker=None, **worth):
    calibration = replace(tiny_calibration(threshold), **worth)
    searcher = Searcher(Encoder(), Retriever(), reranker, 10, calibration=calibration)
    return asyncio.run(searcher.answer(query, time.time() + 5))


def test_a_text_is_told_what_its_hits_are_worth():
    found = calibrated(Query(text="shoe", limit=2), 0.5)
    assert [hit.score for hit in found.hits] == pytest.approx([1.0, 0.95])
    assert [hit.probability for hit in found.hits] == pytest.approx([0.7311, 0.7211])
    assert not found.no_good_match


def test_a_reranked_answer_is_read_by_its_own_scale():
    found = calibrated(Query(text="shoe", limit=1), 0.5, Reverser())
    assert found.hits[0].probability == pytest.approx(1 / (1 + np.exp(-9)), abs=1e-4)
    other = calibrated(Query(text="shoe", limit=1), 0.5, Reverser(error=Overloaded("full")))
    assert other.hits[0].probability == pytest.approx(0.7311)


def test_evidence_below_the_threshold_is_no_good_match():
    assert calibrated(Query(text="shoe"), 1.5).no_good_match
    assert not calibrated(Query(text="shoe"), 1.5, Reverser()).no_good_match  # its best logit is 9


def test_the_evidence_does_not_depend_on_how_many_hits_are_wanted():
    mean = replace(tiny_calibration().first, match=(0.0, 0.0, 1.0, 0.0, 0.0), threshold=0.8)
    for limit in (1, 10, 15):  # the first ten cosines are 0.775 in the mean
        assert calibrated(Query(text="shoe", limit=limit), 0.0, first=mean).no_good_match


@pytest.mark.parametrize("query", [Query(image=b"x"), Query(text="shoe", image=b"x")])
def test_of_a_picture_nothing_is_said(query):
    found = calibrated(query, 99.0)
    assert found.hits[0].probability is None
    assert not found.no_good_match


def test_a_matcher_that_does_not_say_is_asked_for_no_more_than_is_wanted():
    found = answer(Query(text="shoe", limit=2))
    assert found.hits[0].probability is None
    assert not found.no_good_match


def test_a_query_far_from_all_captions_is_no_good_match():
    caption_ND = np.array([[1.0, 0.0]], np.float32)  # the query is [1, 1]: a nearness of 1
    near, far = Familiar(1.0, 0.1, caption_ND), Familiar(1.0, 0.1, -caption_ND)
    assert not calibrated(Query(text="shoe"), -1.0, familiar=near).no_good_match
    assert calibrated(Query(text="shoe"), -1.0, familiar=far).no_good_match
