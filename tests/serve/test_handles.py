"""serve/handles.py without Ray: stages behind a wire of pickles answer as those in one process."""

import asyncio
import pickle
import time

import pytest

from serve.handles import RemoteEncoder, RemoteReranker, RemoteRetriever
from tests.factories import make_picture
from tests.homes import tiny_home
from xmodal.errors import FilterError, RequestError, XmodalError
from xmodal.index.facets import as_filter
from xmodal.index.filters import NoneOf, Range
from xmodal.search.opened import Parts, open_searcher
from xmodal.search.query import Query
from xmodal.search.searcher import Searcher
from xmodal.search.stages import make_pools
from xmodal.search.wishes import Boost, Order, Part, Sort


class Wire:
    """A handle to a stage in this process, whose arguments and results are copied on the way."""

    def __init__(self, part):
        self.part = part

    def __getattr__(self, name):
        return _Method(getattr(self.part, name))


class _Method:
    def __init__(self, method):
        self.method = method

    async def remote(self, release, *args, **named):
        assert release == "r1"
        args, named = pickle.loads(pickle.dumps((args, named)))
        try:
            return pickle.loads(pickle.dumps(await self.method(*args, **named)))
        except XmodalError as error:
            raise pickle.loads(pickle.dumps(error)) from None


@pytest.fixture(scope="module")
def searchers(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    release = tiny_home(home)
    parts = Parts(release.matcher_folder(home), release.index_folder(home))
    fused, _ = open_searcher(parts, make_pools(), depth=10)
    spread = Searcher(
        RemoteEncoder(Wire(fused.encoder), "r1"),
        RemoteRetriever(Wire(fused.retriever), "r1"),
        RemoteReranker(Wire(fused.reranker), "r1"),
        10,
        calibration=fused.calibration,
    )
    return fused, spread


QUERIES = [
    Query(text="red shoe", order=Order((Boost("colour", "red", 0.3),)), explain=True),
    Query(text="red shoe", wanted=as_filter({"price": Range(gte=3.0), "kind": NoneOf(("bag",))})),
    Query(text="red", parts=(Part("red"), Part("bag", -0.5)), history=("p003", "p001")),
    Query(image=make_picture(70), order=Order(sort=Sort("price", "desc"), collapse="colour")),
    Query(text="bag", order=Order(min_score=0.1), limit=3),
]


@pytest.mark.parametrize("query", QUERIES)
def test_spread_answers_as_fused(searchers, query):
    async def run():
        return [await one.answer(query, time.time() + 60) for one in searchers]

    fused, spread = asyncio.run(run())
    assert fused.hits == spread.hits
    assert fused.hits
    assert (fused.place is None) == (spread.place is None)


def test_counts_and_errors_cross_the_wire(searchers):
    async def run(names, wanted):
        calls = [one.retriever.counts(names, wanted, time.time() + 60) for one in searchers]
        return await asyncio.gather(*calls, return_exceptions=True)

    fused, spread = asyncio.run(run(["colour"], as_filter({"price": Range(lt=3.0)})))
    assert fused == spread == {"colour": {"blue": 1, "green": 1, "red": 1}}
    for error in asyncio.run(run(["colour"], as_filter({"colour": Range(lt=3.0)}))):
        assert isinstance(error, RequestError)
        assert (error.field, error.code) == ("filter", "not_a_number")
    for error in asyncio.run(run(["colr"], ())):
        assert isinstance(error, FilterError)
