"""The request path as a plain object: one query in, one answer out, within its time.

    encode -> retrieve (filters) -> rerank (as far as time allows) -> answer

The three stages are local objects in one process (fused) or handles to others (spread): this
code is the same. Nothing here knows Ray.
"""

import asyncio
import json
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import DeadlineExceeded, Overloaded
from xmodal.matcher.calibration import PAGE, Calibration, Scale
from xmodal.search.query import (
    Answer,
    Candidates,
    Encoded,
    Hit,
    Query,
    QueryEncoder,
    Reranker,
    Retriever,
)

FEWER, SKIPPED, ABSENT = "rerank_fewer", "rerank_skipped", "rerank_unavailable"
Result = TypeVar("Result")
MEMORY = 0.2  # weight of the newest measurement in the running cost of a candidate


@dataclass
class Searcher:
    """Answers queries by three stages.

    `depth` candidates are reranked where time allows; `candidate_s` is the running estimate of
    what one costs, the means to tell beforehand how many the time left will hold. It shrinks with
    every query that is not reranked, so that after a busy hour the reranker is tried again.
    `calibration` says what the scores of a text's answer are worth, where the matcher has one.
    """

    encoder: QueryEncoder
    retriever: Retriever
    reranker: Reranker | None
    depth: int = 50
    candidate_s: float = 0.0
    calibration: Calibration | None = None

    async def answer(self, query: Query, deadline_s: float) -> Answer:
        """Answer `query` before `deadline_s` (on the clock of `time.time()`).

        An answer that would come too late is reranked over fewer candidates or not at all, and
        says so in `degraded`. Raises DeadlineExceeded or Overloaded where there is no answer
        at all, FilterError for an unknown attribute.
        """
        took_ms: dict[str, float] = {}
        start = time.perf_counter()
        encoding = self.encoder.encode(query, deadline_s)
        encoded = await timed(took_ms, "encode", encoding, deadline_s)
        reranks = query.wants_rerank and self.reranker is not None
        k = max(query.limit, self.depth if reranks else PAGE if self.calibration else 1)
        retrieval = self.retriever.retrieve(
            encoded.vector_D, k, query.wanted, query.kind, deadline_s
        )
        found = await timed(took_ms, "retrieve", retrieval, deadline_s)
        degraded = [ABSENT] if query.rerank and query.text and self.reranker is None else []
        cosines_K = found.scores
        if reranks and len(found):
            found, left_out = await self._rerank(query, encoded, found, deadline_s, took_ms)
            degraded += left_out
        took_ms["total"] = (time.perf_counter() - start) * 1000
        rounded = {stage: round(ms, 2) for stage, ms in took_ms.items()}
        scale = self._scale(query, is_reranked=found.scores is not cosines_K)
        if scale is None or self.calibration is None:
            return Answer(hits_of(found.first(query.limit)), degraded, rounded)
        familiar = self.calibration.familiar(encoded.vector_D)
        hits = hits_of(found.first(query.limit), scale.probabilities(found.scores, cosines_K))
        return Answer(hits, degraded, rounded, scale.is_no_match(found.scores, cosines_K, familiar))

    def _scale(self, query: Query, *, is_reranked: bool) -> Scale | None:
        """What the answer's scores are to be read by; None for a picture's."""
        if self.calibration is None or query.kind != "text":
            return None
        return self.calibration.reranked if is_reranked else self.calibration.first

    async def _rerank(
        self,
        query: Query,
        encoded: Encoded,
        found: Candidates,
        deadline_s: float,
        took_ms: dict[str, float],
    ) -> tuple[Candidates, list[str]]:
        """The candidates in the reranker's order, and what time did not allow.

        Fewer than `limit` are never reranked: two kinds of score in one list cannot be compared.
        """
        assert self.reranker is not None
        affordable = self._affordable(deadline_s)
        few = found.first(max(query.limit, min(affordable, len(found))))
        if affordable < len(few):
            self._learn(0.0)
            return found, [SKIPPED]
        start = time.perf_counter()
        try:
            reranking = self.reranker.rerank(encoded, few, deadline_s)
            reranked = await timed(took_ms, "rerank", reranking, deadline_s)
        except DeadlineExceeded:
            self._learn((time.perf_counter() - start) / len(few))
            return found, [SKIPPED]
        except Overloaded:
            return found, [SKIPPED]
        self._learn(reranked.run_s / len(few))
        order = np.lexsort((np.array(few.product_ids), -reranked.logits_K))
        degraded = [FEWER] if len(few) < len(found) else []
        return few.at([int(place) for place in order], reranked.logits_K[order]), degraded

    def _learn(self, candidate_s: float) -> None:
        self.candidate_s += MEMORY * (candidate_s - self.candidate_s)

    def _affordable(self, deadline_s: float) -> int:
        """How many candidates the time left will hold."""
        left_s = deadline_s - time.time()
        if left_s <= 0:
            return 0
        return int(left_s / self.candidate_s) if self.candidate_s > 0 else 1_000_000


async def timed(
    took_ms: dict[str, float], stage: str, step: Awaitable[Result], deadline_s: float
) -> Result:
    """The step's result; its milliseconds go to `took_ms`.

    Raises DeadlineExceeded as soon as the time is over.
    """
    start = time.perf_counter()
    try:
        async with asyncio.timeout(max(0.0, deadline_s - time.time())):
            result = await step
    except TimeoutError as error:
        raise DeadlineExceeded(f"the query's time ran out at the stage {stage!r}") from error
    took_ms[stage] = (time.perf_counter() - start) * 1000
    return result


def hits_of(found: Candidates, probability_K: NDArray[np.float64] | None = None) -> list[Hit]:
    """What an answer shows of candidates, in their order."""
    rows = zip(found.product_ids, found.scores, found.titles, found.attributes, strict=True)
    hits = [
        Hit(product_id, float(score), title, json.loads(attributes))
        for product_id, score, title, attributes in rows
    ]
    if probability_K is None:
        return hits
    likely = probability_K.round(4).tolist()
    return [replace(hit, probability=p) for hit, p in zip(hits, likely, strict=False)]
