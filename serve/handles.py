"""The stages of a search as handles to other processes, bound to one release.

What a stage raises comes back wrapped by Ray; here it becomes the same error as in one process.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayTaskError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from xmodal.errors import Overloaded, XmodalError
from xmodal.index.facets import Filter
from xmodal.index.version import Kind
from xmodal.search.query import Candidates, Encoded, Extra, Query, Reranked

Result = TypeVar("Result")


@dataclass(frozen=True)
class RemoteEncoder:
    """`QueryEncoder` over a handle."""

    handle: DeploymentHandle[Any]
    release: str

    async def encode(self, query: Query, deadline_s: float) -> Encoded:
        """The query's vector."""
        return await _call(self.handle.encode.remote(self.release, query, deadline_s))


@dataclass(frozen=True)
class RemoteRetriever:
    """`Retriever` over a handle."""

    handle: DeploymentHandle[Any]
    release: str

    async def retrieve(
        self,
        vector_D: NDArray[np.float32],
        k: int,
        wanted: Filter,
        kind: Kind,
        deadline_s: float,
        *,
        extra: Extra | None = None,
    ) -> Candidates:
        """The k nearest products."""
        call, named = self.handle.retrieve.remote, {"kind": kind, "deadline_s": deadline_s}
        return await _call(call(self.release, vector_D, k, wanted, **named, extra=extra))

    async def vectors(self, product_ids: Sequence[str], deadline_s: float) -> NDArray[np.float32]:
        """Stored vectors (N, D)."""
        call = self.handle.vectors.remote
        return await _call(call(self.release, list(product_ids), deadline_s))

    async def counts(
        self, attributes: Sequence[str], wanted: Filter, deadline_s: float
    ) -> Mapping[str, Mapping[str, int]]:
        """Products that pass, by value of each attribute."""
        call = self.handle.counts.remote
        return await _call(call(self.release, list(attributes), wanted, deadline_s))


@dataclass(frozen=True)
class RemoteReranker:
    """`Reranker` over a handle."""

    handle: DeploymentHandle[Any]
    release: str

    async def rerank(self, encoded: Encoded, candidates: Candidates, deadline_s: float) -> Reranked:
        """Logits (K,)."""
        return await _call(self.handle.rerank.remote(self.release, encoded, candidates, deadline_s))


async def _call(response: Awaitable[Result]) -> Result:
    """The stage's answer; `Searcher` waits for it no longer than the query has time."""
    try:
        return await response
    except BackPressureError as error:
        raise Overloaded("a stage's queue is full; try again later") from error
    except RayTaskError as error:
        if isinstance(error.cause, XmodalError):
            raise error.cause from error
        raise
