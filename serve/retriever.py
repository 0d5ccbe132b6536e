"""Retriever: a unit vector in, the nearest products out. Used where `serve.topology` is `spread`.

Gateway -> Encoder -> [Retriever] -> Reranker -> answer
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from serve.stage import Stage
from xmodal.index.facets import Filter
from xmodal.index.version import Kind
from xmodal.search.opened import open_retriever
from xmodal.search.query import Candidates, Extra


class RetrieverStage:
    """The live index, memory-mapped, read-only (during a release move it holds two)."""

    async def __init__(self, home: str, threads: int) -> None:  # type: ignore[misc]  # Serve awaits it
        """Open and prove the live release's index."""
        self._stage = Stage(home, threads, open_retriever)
        await self._stage.holder.start()

    async def check_health(self) -> None:
        """A replica without an open release, or deaf to its moves, is replaced, not kept."""
        self._stage.holder.check()

    async def retrieve(
        self,
        release: str,
        vector_D: NDArray[np.float32],
        k: int,
        wanted: Filter,
        *,
        kind: Kind,
        deadline_s: float,
        extra: Extra | None = None,
    ) -> Candidates:
        """The k nearest products by that release."""
        async with self._stage.holder.use(release) as held:
            return await held.part.retrieve(vector_D, k, wanted, kind, deadline_s, extra=extra)

    async def vectors(
        self, release: str, product_ids: list[str], deadline_s: float
    ) -> NDArray[np.float32]:
        """The stored vectors (N, D) of products of that release."""
        async with self._stage.holder.use(release) as held:
            return await held.part.vectors(product_ids, deadline_s)

    async def counts(
        self, release: str, attributes: list[str], wanted: Filter, deadline_s: float
    ) -> Mapping[str, Mapping[str, int]]:
        """Products of that release that pass, by value of each attribute."""
        async with self._stage.holder.use(release) as held:
            return await held.part.counts(attributes, wanted, deadline_s)
