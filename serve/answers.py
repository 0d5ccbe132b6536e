"""Searches that are asked at once are answered once; the newest answers help where time runs out.

search -> (in flight | work) -> answer, kept
no time, or too many queries -> the kept answer of the same release, named `cached_answer`
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cachetools import LRUCache

from serve.schemas import SearchAnswer, SearchRequest
from xmodal.errors import DeadlineExceeded, Overloaded
from xmodal.search.shared import Flights

CACHED = "cached_answer"
KEPT = 2_000
KEPT_S = 600.0  # an older answer is no help
Work = Callable[[], Awaitable[SearchAnswer]]


@dataclass(frozen=True)
class _Kept:
    answer: SearchAnswer
    at_s: float


class Answers:
    """Shares the work of equal searches, and keeps what came of it."""

    def __init__(self) -> None:
        self._flights: Flights[SearchAnswer] = Flights()
        self._kept: LRUCache[str, _Kept] = LRUCache(KEPT)

    async def answer(
        self, request: SearchRequest, work: Work, release: str, is_there: Callable[[str], bool]
    ) -> SearchAnswer:
        """What `work` gives; each caller gets a query id of its own.

        Args:
            release: the live one, by which alone a kept answer may stand in.
            is_there: whether the shop still has a product: none that it lacks is shown from memory.

        Raises DeadlineExceeded or Overloaded where nothing was kept either, and what else `work`
        raises.
        """
        if request.image is not None or request.cursor is not None:
            return await work()
        alike = request.model_dump_json(exclude={"deadline_ms"})
        try:
            # With another deadline it is another search: it may have to degrade more.
            found = await self._flights.join((alike, request.deadline_ms), work)
        except (DeadlineExceeded, Overloaded):
            kept = self._kept.get(alike)
            if kept is None or kept.answer.release.id != release or kept.at_s < _oldest():
                raise
            hits = [hit for hit in kept.answer.hits if is_there(hit.product_id)]
            degraded = [*kept.answer.degraded, CACHED]
            return _own(kept.answer, {"hits": hits, "degraded": degraded, "next_cursor": None})
        if not found.degraded:
            self._kept[alike] = _Kept(found, time.monotonic())
        return _own(found, {})


def _own(answer: SearchAnswer, changes: dict[str, object]) -> SearchAnswer:
    return answer.model_copy(update={"query_id": secrets.token_hex(8), **changes})


def _oldest() -> float:
    return time.monotonic() - KEPT_S
