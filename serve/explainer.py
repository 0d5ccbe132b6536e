"""Explains a hit of one release: words and regions of a (text, product), beside the search.

In a thread of its own that gives way to the search's: its matcher is opened when first asked, and
no search waits for it.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from xmodal.errors import Overloaded
from xmodal.matcher.explain import Explanation, PairScore, explain
from xmodal.matcher.heat_map import heat_map
from xmodal.matcher.saved import Matcher, load_matcher

QUEUE = 4
_NICE = 15  # of 19: a search in another thread of this process comes first


class Explainer:
    """One release's matcher."""

    def __init__(self, matcher: Path) -> None:
        self._folder = matcher
        self._pool = ThreadPoolExecutor(1, "explain", _give_way)
        self._waiting = 0

    async def explain(
        self, text: str, read: Callable[[], Sequence[bytes]]
    ) -> tuple[Explanation, str] | None:
        """Why `text` finds the product whose pictures `read` gives, and a drawing of it as SVG.

        None where it has none. Raises Overloaded where QUEUE explanations are waited for.
        """
        if self._waiting >= QUEUE:
            raise Overloaded(f"{self._waiting} explanations are waited for; try again later")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._explain, text, read)
        finally:
            self._waiting -= 1

    @cached_property
    def _matcher(self) -> Matcher:
        return load_matcher(self._folder)

    def _explain(
        self, text: str, read: Callable[[], Sequence[bytes]]
    ) -> tuple[Explanation, str] | None:
        pictures = read()
        if not pictures:
            return None
        pair = PairScore(self._matcher.encoder, self._matcher.reranker, text, pictures)
        why = explain(pair)
        return why, heat_map(pair.pixels_CHW, why)


def _give_way() -> None:
    """Lower this thread's priority; threads that torch starts for it inherit it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
