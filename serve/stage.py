"""What the three stages of the spread topology share: a release's part, held and lent by its id."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import faiss
import torch

from serve.holder import Holder
from serve.shelves import parts_of
from xmodal.registry.pointer import Release
from xmodal.search.opened import Parts
from xmodal.search.stages import Pools, make_pools

Local = TypeVar("Local")
LINGER_S = 60.0  # longer than a request may take


class Stage(Generic[Local]):
    """Opens the live release's part and follows the pointer; not a deployment itself."""

    def __init__(self, home: str, threads: int, open_part: Callable[[Parts, Pools], Local]) -> None:
        limit_threads(threads)
        pools = make_pools()

        async def open_release(release: Release) -> Local:
            parts = parts_of(Path(home), release)
            return await asyncio.to_thread(open_part, parts, pools)

        self.holder = Holder(Path(home), open_release, LINGER_S)


def limit_threads(count: int) -> None:
    """Threads of torch and FAISS in this process; both take every core unless told."""
    torch.set_num_threads(count)
    faiss.omp_set_num_threads(count)
