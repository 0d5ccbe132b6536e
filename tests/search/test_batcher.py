"""xmodal/search/batcher.py: batches form under load, queues end, late callers are told."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from xmodal.errors import DeadlineExceeded, Overloaded
from xmodal.search.batcher import Batcher

POOL = ThreadPoolExecutor(1)


class Doubler:
    """Doubles numbers once the gate is open; remembers the sizes of its batches."""

    def __init__(self, open_: bool = True):
        self.sizes, self.gate = [], threading.Event()
        if open_:
            self.gate.set()

    def __call__(self, items):
        self.gate.wait(5)
        self.sizes.append(len(items))
        return [2 * item for item in items]


def soon():
    return time.time() + 60


async def test_each_caller_gets_its_own_result():
    batch = Batcher(Doubler(), POOL)
    assert await asyncio.gather(*(batch(n, soon()) for n in range(40))) == [
        2 * n for n in range(40)
    ]


async def test_callers_that_wait_share_the_next_batch():
    run = Doubler(open_=False)
    batch = Batcher(run, POOL, largest=8)
    calls = [asyncio.create_task(batch(0, soon()))]
    await asyncio.sleep(0.05)
    calls += [asyncio.create_task(batch(n, soon())) for n in range(10)]
    await asyncio.sleep(0.05)
    run.gate.set()
    await asyncio.gather(*calls)
    assert run.sizes == [1, 8, 2]


async def test_a_full_queue_refuses_at_once():
    run = Doubler(open_=False)
    batch = Batcher(run, POOL, queue=2)
    calls = [asyncio.create_task(batch(n, soon())) for n in range(3)]
    await asyncio.sleep(0.05)
    calls.append(asyncio.create_task(batch(3, soon())))
    await asyncio.sleep(0.05)
    run.gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 1


async def test_a_late_caller_is_told_and_costs_nothing():
    run = Doubler()
    with pytest.raises(DeadlineExceeded):
        await Batcher(run, POOL)(1, time.time() - 1)
    assert run.sizes == []


async def test_an_error_reaches_every_caller_of_its_batch_and_no_other():
    def picky(items):
        if 13 in items:
            raise ValueError("unlucky")
        return items

    batch = Batcher(picky, POOL, largest=1)
    results = await asyncio.gather(batch(13, soon()), batch(1, soon()), return_exceptions=True)
    assert isinstance(results[0], ValueError)
    assert results[1] == 1


async def test_a_caller_that_went_away_is_left_out():
    run = Doubler(open_=False)
    batch = Batcher(run, POOL)
    calls = [asyncio.create_task(batch(n, soon())) for n in range(3)]
    await asyncio.sleep(0.05)
    calls[2].cancel()
    run.gate.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert sum(run.sizes) <= 3
    assert calls[1].result() == 2
