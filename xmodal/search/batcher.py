"""A micro-batcher for asyncio: many awaiting callers, one list-in, list-out call in a thread.

No timer: a batch is what gathered while the one before it ran. A lone caller therefore never
waits, and under load the batches grow by themselves. Works in any event loop, a Ray Serve
replica's too (`serve.batch` only there).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from xmodal.errors import DeadlineExceeded, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class _Waiting(Generic[Item, Result]):
    item: Item
    deadline_s: float
    future: "asyncio.Future[Result]"


@dataclass(frozen=True)
class Load:
    """How busy a queue is, and has been."""

    depth: int  # items that wait
    batches: int  # that ran
    items: int  # in them


class Batcher(Generic[Item, Result]):
    """Hands waiting items to `run`, at most `largest` at once; the queue ends at `queue`."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        pool: ThreadPoolExecutor,
        largest: int = 16,
        queue: int = 128,
    ) -> None:
        self._run, self._pool, self._largest, self._queue = run, pool, largest, queue
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._batches = self._items = 0

    @property
    def load(self) -> Load:
        """How busy it is."""
        return Load(len(self._waiting), self._batches, self._items)

    async def __call__(self, item: Item, deadline_s: float) -> Result:
        """The result for `item`. Raises Overloaded, or DeadlineExceeded if its turn is late."""
        if len(self._waiting) >= self._queue:
            raise Overloaded(f"{len(self._waiting)} queries are waiting; try again later")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item, deadline_s, future)
        self._waiting.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await waiting.future

    async def _work(self) -> None:
        while batch := self._next():
            try:
                loop = asyncio.get_running_loop()
                items = [waiting.item for waiting in batch]
                self._batches, self._items = self._batches + 1, self._items + len(items)
                results = await loop.run_in_executor(self._pool, self._run, items)
            except Exception as error:  # noqa: BLE001  # each caller raises it as its own
                _fail(batch, error)
                continue
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(result)

    def _next(self) -> list[_Waiting[Item, Result]]:
        """The next batch: no cancelled caller, none whose time is over."""
        batch: list[_Waiting[Item, Result]] = []
        while self._waiting and len(batch) < self._largest:
            waiting = self._waiting.popleft()
            if waiting.future.done():
                continue
            if time.time() >= waiting.deadline_s:
                _fail([waiting], DeadlineExceeded("the query's time ran out in the queue"))
                continue
            batch.append(waiting)
        return batch


def _fail(batch: Sequence[_Waiting[Item, Result]], error: Exception) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)
