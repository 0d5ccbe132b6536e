"""xmodal/search/stages.py and opened.py: real parts, one process, no Ray."""

import asyncio
import gc
import time
import weakref
from functools import partial

import numpy as np
import pytest

from tests.factories import make_picture
from tests.homes import add_release, tiny_home
from xmodal.catalog.store import current_catalog
from xmodal.errors import DeadlineExceeded, IndexMismatch, Overloaded, UserError
from xmodal.index.facets import as_filter
from xmodal.index.version import open_index
from xmodal.matcher.saved import load_encoder, load_matcher, read_facts
from xmodal.retrieval.embed import embed_pictures, embed_texts
from xmodal.search.opened import Parts, open_encoder, open_searcher, warm
from xmodal.search.query import Query
from xmodal.search.searcher import Searcher
from xmodal.search.stages import LocalEncoder, LocalReranker, LocalRetriever, make_pools


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def parts(home):
    release = tiny_home(home)
    return Parts(release.matcher_folder(home), release.index_folder(home))


def encode(parts, query):
    stage = open_encoder(parts, make_pools())
    return asyncio.run(stage.encode(query, time.time() + 60)).vector_D


def test_queries_are_encoded_as_the_index_was(parts):
    encoder, picture = load_encoder(parts.matcher / "encoder"), make_picture(3)
    text_D, image_D = embed_texts(encoder, ["red bag"])[0], embed_pictures(encoder, [picture])[0]
    np.testing.assert_allclose(encode(parts, Query(text="red bag")), text_D, atol=1e-5)
    np.testing.assert_allclose(encode(parts, Query(image=picture)), image_D, atol=1e-5)


def test_text_and_picture_are_merged_into_one_unit_vector(parts):
    encoder, picture = load_encoder(parts.matcher / "encoder"), make_picture(3)
    both_D = embed_texts(encoder, ["bag"])[0] + embed_pictures(encoder, [picture])[0]
    found_D = encode(parts, Query(text="bag", image=picture))
    np.testing.assert_allclose(found_D, both_D / np.linalg.norm(both_D), atol=1e-5)


def test_many_at_once_equal_one_at_a_time(parts):
    stage = open_encoder(parts, make_pools())
    queries = [Query(text=text) for text in ("red shoe", "blue", "green bag or shirt", "红色鞋子")]

    async def together():
        return await asyncio.gather(*(stage.encode(q, time.time() + 60) for q in queries))

    for query, found in zip(queries, asyncio.run(together()), strict=True):
        np.testing.assert_allclose(found.vector_D, encode(parts, query), atol=1e-5)


def test_a_picture_that_is_none_is_the_users_error(parts):
    with pytest.raises(UserError, match="picture"):
        encode(parts, Query(image=b"no picture"))


def test_a_whole_search_answers_with_filter(parts):
    searcher, _ = open_searcher(parts, make_pools(), depth=10)

    async def run():
        await warm(searcher)
        query = Query(image=make_picture(40), wanted=as_filter({"colour": "blue"}))
        return await searcher.answer(query, time.time() + 60)

    found = asyncio.run(run())
    assert found.hits[0].product_id == "p004"
    assert {hit.attributes["colour"] for hit in found.hits} == {"blue"}


def test_reranking_many_at_once_equals_one_at_a_time(parts):
    searcher, _ = open_searcher(parts, make_pools(), depth=10)
    queries = [Query(text=text, limit=n) for text in ("red shoe", "blue bag") for n in (3, 15)]

    async def one(query):
        return (await searcher.answer(query, time.time() + 60)).hits

    async def together():
        return await asyncio.gather(*map(one, queries))

    apart = [asyncio.run(one(query)) for query in queries]
    for alone, among in zip(apart, asyncio.run(together()), strict=True):
        assert [hit.product_id for hit in alone] == [hit.product_id for hit in among]
        np.testing.assert_allclose(
            [hit.score for hit in alone], [hit.score for hit in among], atol=1e-4
        )


def test_a_matcher_with_anothers_index_never_opens(home, parts):
    other = add_release(home, current_catalog(home), seed=5)
    with pytest.raises(IndexMismatch):
        open_searcher(Parts(parts.matcher, other.index_folder(home)), make_pools(), depth=10)


def opened(parts):
    return open_index(parts.index, read_facts(parts.matcher).encoder)


async def test_a_late_or_one_too_many_retrieval_is_refused(parts):
    index = opened(parts)
    stage = LocalRetriever(index, make_pools(), queue=2)
    ask = partial(stage.retrieve, index.vector(0), 3, (), "text")
    with pytest.raises(DeadlineExceeded):
        await ask(time.time() - 1)
    calls = [ask(time.time() + 60) for _ in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, Overloaded) for result in results] == [False, False, True]


def test_a_closed_release_leaves_memory_without_the_collector(parts):
    index, matcher, pools = opened(parts), load_matcher(parts.matcher), make_pools()
    seen = [weakref.ref(part) for part in (index, matcher.encoder, matcher.reranker)]
    encoder, retriever = LocalEncoder(matcher.encoder, pools), LocalRetriever(index, pools)
    reranker = LocalReranker(matcher.reranker, index.tokens, pools)
    searcher = Searcher(encoder, retriever, reranker)
    query = Query(text="red shoe", wanted=as_filter({"colour": "red"}))
    gc.collect()
    gc.disable()  # as Ray's gc.freeze does for all that is there when a replica starts
    try:
        asyncio.run(searcher.answer(query, time.time() + 60))
        del index, matcher, encoder, retriever, reranker, searcher
        # `pools` lives on, as in a replica. Its threads let go of a job a moment after they have
        # handed over its result, not before.
        until = time.monotonic() + 10
        while any(part() for part in seen) and time.monotonic() < until:
            time.sleep(0.001)
        assert [part() for part in seen] == [None, None, None]
    finally:
        gc.enable()
