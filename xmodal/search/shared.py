"""Work that several ask for at once is done once; texts that were encoded are remembered.

query -> CachedEncoder -> (remembered | in flight | encoder) -> Encoded
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

from xmodal.errors import DeadlineExceeded
from xmodal.search.batcher import Load
from xmodal.search.query import Encoded, Query, QueryEncoder

CACHE_BYTES = 32_000_000  # about 15,000 texts
_ROW_BYTES = 500  # what an entry costs beside its arrays
Result = TypeVar("Result")


class Flights(Generic[Result]):
    """Joins equal calls: while one runs, another of the same key waits for its result.

    The work belongs to nobody: who gives up waiting leaves it to the others.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Result]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    async def join(self, key: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of `work`, or of the work of that key that is under way."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(_run(work))
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, task: "asyncio.Task[Result]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # looked at, also where nobody waits any more


async def _run(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()


class CachedEncoder:
    """A `QueryEncoder` that remembers texts of one release, the longest unasked given up first."""

    def __init__(self, encoder: QueryEncoder, most_bytes: int = CACHE_BYTES) -> None:
        self._encoder = encoder
        self._known: LRUCache[Hashable, Encoded] = LRUCache(most_bytes, getsizeof=_size)
        self._flights: Flights[Encoded] = Flights()
        self.hits = self.misses = 0

    def loads(self) -> dict[str, Load]:
        """How busy the encoder's queues are, where they are here."""
        return loads_of(self._encoder)

    async def encode(self, query: Query, deadline_s: float) -> Encoded:
        """As the encoder's own; a picture is never remembered.

        Raises what the encoder raises.
        """
        if query.image is not None:
            return await self._encoder.encode(query, deadline_s)
        key = (query.text, query.parts)
        found = self._known.get(key)
        if found is not None:
            self.hits += 1
            return found
        self.misses += 1
        try:
            found = await self._flights.join(key, lambda: self._encoder.encode(query, deadline_s))
        except DeadlineExceeded:  # of whoever came first, who may have had less time
            found = await self._encoder.encode(query, deadline_s)
        if _size(found) <= self._known.maxsize:
            self._known[key] = found
        return found


def loads_of(stage: object) -> dict[str, Load]:
    """A stage's queues by name; none of one that is elsewhere."""
    loads: Callable[[], dict[str, Load]] = getattr(stage, "loads", dict)
    return loads()


def _size(encoded: Encoded) -> int:
    arrays = [encoded.vector_D, *encoded.features.values()]
    return _ROW_BYTES + sum(array.nbytes for array in arrays)
