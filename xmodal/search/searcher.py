"""The request path as a plain object: one query in, one answer out, within its time.

    encode -> retrieve (filters) -> rerank (as far as time allows) -> re-order -> page -> answer
    a later page: place -> retrieve -> page -> answer

The three stages are local objects in one process (fused) or handles to others (spread): this
code is the same. Nothing here knows Ray.
"""

import asyncio
import json
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from xmodal.errors import DeadlineExceeded, Overloaded, RequestError, UnknownProduct
from xmodal.matcher.calibration import PAGE, Calibration, Scale
from xmodal.search.batcher import Load
from xmodal.search.compose import bent
from xmodal.search.fusion import Fusion, Hybrid
from xmodal.search.lead import lead_of
from xmodal.search.page import (
    DEPTH,
    Page,
    begin,
    hits_of_page,
    nothing_said,
    turn,
    window_size,
    within,
)
from xmodal.search.query import (
    Answer,
    Candidates,
    Encoded,
    Extra,
    Hit,
    Query,
    QueryEncoder,
    Reranker,
    Retriever,
)
from xmodal.search.shared import loads_of
from xmodal.search.shown import products_of, retrieve_shown, reworded
from xmodal.search.wishes import Floats, Place, empty_head

FEWER, SKIPPED, ABSENT = "rerank_fewer", "rerank_skipped", "rerank_unavailable"
WORDLESS = "hybrid_unavailable"
Result = TypeVar("Result")
MEMORY = 0.2  # weight of the newest measurement in the running cost of a candidate


@dataclass
class Searcher:
    """Answers queries by three stages.

    `depth` candidates are reranked where time allows; `candidate_s` is the running estimate of
    what one costs, the means to tell beforehand how many the time left will hold. It shrinks with
    every query that is not reranked, so that after a busy hour the reranker is tried again.
    `calibration` says what the scores of a text's answer are worth, where the matcher has one;
    `hybrid` what words are worth beside the vectors, where the index has any.
    """

    encoder: QueryEncoder
    retriever: Retriever
    reranker: Reranker | None
    depth: int = 50
    candidate_s: float = 0.0
    calibration: Calibration | None = None
    hybrid: Hybrid | None = None

    async def answer(self, query: Query, deadline_s: float) -> Answer:
        """Answer `query` before `deadline_s` (on the clock of `time.time()`).

        An answer that would come too late is reranked over fewer candidates or not at all, and
        says so in `degraded`. Raises DeadlineExceeded or Overloaded where there is no answer
        at all, FilterError for an unknown attribute, RequestError for what cannot be granted.
        """
        took_ms: dict[str, float] = {}
        start = time.perf_counter()
        self._check(query)
        typed = query.text or ""
        query = reworded(query)
        degraded: list[str] = []
        if query.place is None:
            place, found, degraded = await self._first(query, deadline_s, took_ms)
        else:
            place, found = query.place, None
        page = await self._turn(query, place, found, deadline_s, took_ms)
        hits = hits_of_page(query, page, place)
        took_ms["total"] = (time.perf_counter() - start) * 1000
        rounded = {stage: round(ms, 2) for stage, ms in took_ms.items()}
        named = query.rules.named(typed, products_of(page.found)) if query.rules else []
        return Answer(hits, degraded, rounded, place.no_good_match, page.place, named)

    def loads(self) -> dict[str, Load]:
        """How busy the queues of the stages in this process are."""
        return {
            name: load
            for stage in (self.encoder, self.retriever, self.reranker)
            for name, load in loads_of(stage).items()
        }

    async def _first(
        self, query: Query, deadline_s: float, took_ms: dict[str, float]
    ) -> tuple[Place, Candidates, list[str]]:
        """The place of the first page, the window, and what time did not allow."""
        encoding = self.encoder.encode(query, deadline_s)
        encoded = await timed(took_ms, "encode", encoding, deadline_s)
        if query.history:
            encoded = await self._with_history(query, encoded, deadline_s, took_ms)
        reranks = query.wants_rerank and self.reranker is not None
        depth = max(query.limit, query.candidates or self.depth)
        fusion = self._fusion(query)
        moves = query.order.is_new or query.rules.reorders or fusion is not None
        size = depth if reranks or moves else 0
        k = max(size, query.limit + 1, PAGE if self.calibration else 1)
        k = DEPTH if query.order.thins else k
        found = await self._retrieve(query, encoded.vector_D, k, deadline_s, took_ms)
        lead = lead_of(found, fusion, query.rules.pinned, size)
        degraded = self._lacking(query)
        head = found.at(lead.places, lead.score_L) if moves else found.first(0)
        is_reranked = False
        if reranks and len(found):
            ranked, left_out = await self._rerank(
                query, encoded, found.at(lead.places), deadline_s, took_ms
            )
            degraded += left_out
            is_reranked = ranked is not None
            head = ranked or head
        place = Place(encoded.vector_D, empty_head(), is_reranked=is_reranked)
        scale = self._scale(query, is_reranked=is_reranked)
        judged = head.scores if is_reranked else found.scores
        probability_K = nothing_said(len(head))
        if scale is not None and self.calibration is not None:
            familiar = self.calibration.familiar(encoded.vector_D)
            no_match = scale.is_no_match(judged, found.scores, familiar)
            place = replace(place, no_good_match=no_match)
            likely_K = scale.probabilities(judged, found.scores).astype(np.float32)
            probability_K = likely_K if is_reranked else likely_K[lead.places][: len(head)]
        today = datetime.now(UTC).date()
        return begin(place, query, head, probability_K, today), found, degraded

    async def _turn(
        self,
        query: Query,
        place: Place,
        found: Candidates | None,
        deadline_s: float,
        took_ms: dict[str, float],
    ) -> Page:
        """The page at `place`, of the window `found` or of one that is fetched for it."""
        if found is not None:
            found = within(place, found)
            return turn(query, place, found, self._tail_probability(query, found))
        # A larger window only where products came to the index since the page before, or went.
        for k in dict.fromkeys((window_size(query, place), DEPTH)):
            window = await self._retrieve(query, place.vector_D, k, deadline_s, took_ms)
            found = within(place, window)
            page = turn(query, place, found, self._tail_probability(query, found))
            if not page.is_short or window.nearest < k:
                break
        return page

    async def _retrieve(
        self,
        query: Query,
        vector_D: Floats,
        k: int,
        deadline_s: float,
        took_ms: dict[str, float],
    ) -> Candidates:
        text = query.text if self._fusion(query) is not None else None
        pinned = query.rules.pinned
        extra = Extra(text, pinned) if text or pinned else None
        retrieval = retrieve_shown(self.retriever, vector_D, k, query, deadline_s, extra=extra)
        return await timed(took_ms, "retrieve", retrieval, deadline_s)

    async def _with_history(
        self, query: Query, encoded: Encoded, deadline_s: float, took_ms: dict[str, float]
    ) -> Encoded:
        """The query bent toward what was looked at; what the reranker reads stays as it is."""
        looking = self.retriever.vectors(query.history, deadline_s)
        try:
            vector_ND = await timed(took_ms, "history", looking, deadline_s)
        except UnknownProduct as error:
            raise RequestError(str(error), "user_history", "unknown_product") from error
        return replace(encoded, vector_D=bent(encoded.vector_D, vector_ND, query.history_weight))

    def _fusion(self, query: Query) -> Fusion | None:
        """How words count beside the vector; None: not at all, or there is more than one text."""
        if self.hybrid is None or not query.text or not query.is_plain:
            return None
        is_reranked = query.wants_rerank and self.reranker is not None
        return self.hybrid.choose(query.text, query.hybrid, is_reranked=is_reranked)

    def _lacking(self, query: Query) -> list[str]:
        """What was asked for and this release, or this query, cannot have."""
        no_words = query.hybrid and self._fusion(query) is None
        no_reranker = query.rerank and query.text and self.reranker is None
        return [ABSENT] * bool(no_reranker) + [WORDLESS] * bool(no_words)

    def _check(self, query: Query) -> None:
        """Raises RequestError for a least probability where nothing says what one is."""
        if query.order.min_score is None:
            return
        reranks = query.wants_rerank and self.reranker is not None
        if not query.is_plain:
            message = "is calibrated for one plain text: no picture, no parts, no history"
            raise RequestError(f"`min_score` {message}", "min_score", "not_calibrated")
        if self._scale(query, is_reranked=reranks) is None:
            message = "this release has no calibration: `min_score` has nothing to go by"
            raise RequestError(message, "min_score", "not_calibrated")

    def _tail_probability(self, query: Query, found: Candidates) -> Floats:
        """What the first stage's scores are worth, (K,); NaN where nothing can be said."""
        scale = self._scale(query, is_reranked=False)
        if scale is None:
            return nothing_said(len(found))
        return scale.probabilities(found.scores, found.scores).astype(np.float32)

    def _scale(self, query: Query, *, is_reranked: bool) -> Scale | None:
        """What the answer's scores are to be read by; None for all but a plain text's."""
        if self.calibration is None or not query.is_plain:
            return None
        return self.calibration.reranked if is_reranked else self.calibration.first

    async def _rerank(
        self,
        query: Query,
        encoded: Encoded,
        found: Candidates,
        deadline_s: float,
        took_ms: dict[str, float],
    ) -> tuple[Candidates | None, list[str]]:
        """The candidates in the reranker's order, None for no rerank; what time did not allow.

        Fewer than `limit` are never reranked: two kinds of score on the first page cannot be
        compared.
        """
        assert self.reranker is not None
        affordable = self._affordable(deadline_s)
        few = found.first(max(query.limit, min(affordable, len(found))))
        if affordable < len(few):
            self._learn(0.0)
            return None, [SKIPPED]
        start = time.perf_counter()
        try:
            reranking = self.reranker.rerank(encoded, few, deadline_s)
            reranked = await timed(took_ms, "rerank", reranking, deadline_s)
        except DeadlineExceeded:
            self._learn((time.perf_counter() - start) / len(few))
            return None, [SKIPPED]
        except Overloaded:
            return None, [SKIPPED]
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


def hits_of(found: Candidates) -> list[Hit]:
    """What an answer shows of candidates, in their order."""
    rows = zip(found.product_ids, found.scores, found.titles, found.attributes, strict=True)
    return [
        Hit(product_id, float(score), title, json.loads(attributes))
        for product_id, score, title, attributes in rows
    ]
