"""xmodal/search/shared.py: equal work once, whoever gives up; texts remembered up to a size."""

import asyncio
import time

import numpy as np
import pytest

from xmodal.errors import DeadlineExceeded
from xmodal.search.query import Encoded, Query
from xmodal.search.shared import CachedEncoder, Flights


class Counting:
    """An encoder that counts, and waits for a sign where one is set."""

    def __init__(self):
        self.asked, self.sign, self.fails = [], None, []

    async def encode(self, query, deadline_s):
        self.asked.append(query)
        if self.sign is not None:
            await self.sign.wait()
        if self.fails:
            raise self.fails.pop()
        return Encoded(np.full(8, len(self.asked), np.float32))


def encode(cached, text, **more):
    return cached.encode(Query(text=text, **more), time.time() + 60)


async def test_a_text_is_encoded_once():
    inner = Counting()
    cached = CachedEncoder(inner)
    first, again = await encode(cached, "a"), await encode(cached, "a", limit=3)
    assert first is again
    assert (cached.hits, cached.misses, len(inner.asked)) == (1, 1, 1)
    await encode(cached, "b")
    await encode(cached, "a", image=b"...")
    await encode(cached, "a", image=b"...")
    assert len(inner.asked) == 4


async def test_the_memory_has_an_end():
    inner = Counting()
    cached = CachedEncoder(inner, most_bytes=1_200)  # two entries
    for text in ("a", "b", "c", "a"):
        await encode(cached, text)
    assert len(inner.asked) == 4


async def test_callers_at_once_share_one_forward_and_outlive_the_first():
    inner = Counting()
    inner.sign = asyncio.Event()
    cached = CachedEncoder(inner)
    first, second = (asyncio.create_task(encode(cached, "a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    inner.sign.set()
    assert (await second).vector_D[0] == 1
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(inner.asked) == 1


async def test_who_had_more_time_than_the_first_asks_again():
    inner = Counting()
    inner.fails = [DeadlineExceeded("late")]
    assert (await encode(CachedEncoder(inner), "a")).vector_D[0] == 2


async def test_an_error_is_everybodys_and_nothing_is_left():
    flights = Flights()

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("broken")

    found = await asyncio.gather(
        *[flights.join("k", fail) for _ in range(3)], return_exceptions=True
    )
    assert len({id(error) for error in found}) == 1
    await asyncio.sleep(0)
    assert len(flights) == 0
