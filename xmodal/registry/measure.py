"""End to end: the matcher and the index of a release-to-be, judged by the path shoppers get.

judged queries -> Searcher (encode, retrieve, rerank) -> a run + milliseconds -> the gate
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xmodal.fingerprint import of_bytes
from xmodal.retrieval.metrics import Run
from xmodal.search.opened import Parts, open_searcher, warm
from xmodal.search.query import Query
from xmodal.search.searcher import Searcher
from xmodal.search.stages import make_pools

LIMIT = 10  # hits an answer holds: what the gate's metrics look at
PATIENCE_S = 60.0  # a measurement never degrades
MOST_QUERIES = 500  # one at a time: enough for the gate's bootstrap, a minute at most


@dataclass(frozen=True)
class Measured:
    """What the whole path answered, and how long it took, one query at a time."""

    run: Run
    p50_ms: float
    p95_ms: float
    stage_ms: Mapping[str, float]  # median of each stage


def measure(
    matcher: Path,
    index: Path,
    queries: Mapping[str, str],
    *,
    depth: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Measured:
    """Answer each query as the service would, with reranking of `depth` where there is a reranker.

    Raises:
        MatcherError, IndexMismatch, IndexDamaged: the pair could not be served either.
    """
    searcher, _ = open_searcher(Parts(matcher, index), make_pools(), depth)
    return asyncio.run(_answer_all(searcher, queries, progress))


def sample(queries: Mapping[str, str]) -> dict[str, str]:
    """At most MOST_QUERIES of the queries, by the hash of their ids.

    No seed moves it, and where a few queries come or go the others stay: figures of two releases
    are of the same queries.
    """
    drawn = sorted(queries, key=lambda name: of_bytes(name.encode()))[:MOST_QUERIES]
    return {name: queries[name] for name in sorted(drawn)}


async def _answer_all(
    searcher: Searcher, queries: Mapping[str, str], progress: Callable[[int], None]
) -> Measured:
    await warm(searcher)
    run: Run = {}
    took: dict[str, list[float]] = {}
    for query_id, text in queries.items():
        query = Query(text=text, limit=LIMIT)
        answer = await searcher.answer(query, time.time() + PATIENCE_S)
        run[query_id] = {hit.product_id: hit.score for hit in answer.hits}
        for stage, ms in answer.took_ms.items():
            took.setdefault(stage, []).append(ms)
        progress(1)
    total = sorted(took.pop("total", [0.0]))
    return Measured(
        run=run,
        p50_ms=statistics.median(total),
        p95_ms=total[int(0.95 * (len(total) - 1))],
        stage_ms={stage: statistics.median(values) for stage, values in took.items()},
    )
