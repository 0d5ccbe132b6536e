"""Explains a hit of one release: words and regions of a (text, product), beside the search.

In a thread of its own that gives way to the search's: its matcher is opened when first asked, and
no search waits for it.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from xmodal.errors import Overloaded
from xmodal.matcher.explain import Explanation, PairScore, Word, explain, word_weights
from xmodal.matcher.heat_map import heat_map
from xmodal.matcher.saved import Matcher, load_matcher

Result = TypeVar("Result")
Read = Callable[[], Sequence[bytes]]
"""Gives a product's encoded pictures."""
QUEUE = 4
_NICE = 15  # of 19: a search in another thread of this process comes first


class Explainer:
    """One release's matcher."""

    def __init__(self, matcher: Path) -> None:
        self._folder = matcher
        self._pool = ThreadPoolExecutor(1, "explain", _give_way)
        self._waiting = 0

    async def explain(self, text: str, read: Read) -> tuple[Explanation, str] | None:
        """Why `text` finds the product whose pictures `read` gives, and a drawing of it as SVG.

        None where it has none. Raises Overloaded where QUEUE explanations are waited for.
        """
        return await self._run(partial(self._explain, text, read))

    async def words(self, text: str, reads: Sequence[Read]) -> list[Sequence[Word] | None]:
        """What the words of `text` weigh for each product; None where one has no picture.

        Raises Overloaded where QUEUE explanations are waited for.
        """
        return await self._run(partial(self._words, text, reads))

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= QUEUE:
            raise Overloaded(f"{self._waiting} explanations are waited for; try again later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    @cached_property
    def _matcher(self) -> Matcher:
        return load_matcher(self._folder)

    def _explain(self, text: str, read: Read) -> tuple[Explanation, str] | None:
        pair = self._pair(text, read)
        if pair is None:
            return None
        why = explain(pair)
        return why, heat_map(pair.pixels_CHW, why)

    def _words(self, text: str, reads: Sequence[Read]) -> list[Sequence[Word] | None]:
        pairs = [self._pair(text, read) for read in reads]
        return [None if pair is None else word_weights(pair)[1] for pair in pairs]

    def _pair(self, text: str, read: Read) -> PairScore | None:
        pictures = read()
        if not pictures:
            return None
        return PairScore(self._matcher.encoder, self._matcher.reranker, text, pictures)


def _give_way() -> None:
    """Lower this thread's priority; threads that torch starts for it inherit it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
