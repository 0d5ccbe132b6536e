"""Gateway: HTTP in front of the stages, all of them in its own process or behind handles.

client -> [Gateway] -> Encoder -> Retriever -> Reranker
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve

from serve.api import make_api
from serve.handles import RemoteEncoder, RemoteReranker, RemoteRetriever
from serve.service import Service
from serve.shelves import fused, spread
from serve.stage import limit_threads
from xmodal.registry.pointer import Release
from xmodal.search.opened import Parts
from xmodal.search.searcher import Searcher
from xmodal.search.shared import CachedEncoder


@dataclass(frozen=True)
class GatewayArgs:
    """What a gateway needs to know."""

    home: str
    deadline_ms: int
    depth: int
    threads: int
    collapse: str | None = None
    """The attribute that requests may collapse by."""


@dataclass(frozen=True)
class Stages:
    """Handles to the stages of the spread topology (applications, while the graph is drawn)."""

    encoder: Any
    retriever: Any
    reranker: Any


@serve.ingress()
class Gateway:
    """The HTTP interface; with `stages` None it holds them itself."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, args: GatewayArgs, stages: Stages | None = None
    ) -> None:
        """Open and warm the live release."""
        limit_threads(args.threads)
        home = Path(args.home)
        opener = fused(home, args.depth) if stages is None else _remote(home, args.depth, stages)
        self._service = Service(home, opener, args.deadline_ms, args.collapse)
        await self._service.holder.start()

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The routes; Serve asks for them once the release is open."""
        return make_api(self._service)

    async def check_health(self) -> None:
        """A replica without an open release, or deaf to its moves, is replaced, not kept."""
        self._service.holder.check()


def _remote(home: Path, depth: int, stages: Stages) -> Any:
    def make_searcher(release: Release, parts: Parts) -> Searcher:
        return Searcher(
            CachedEncoder(RemoteEncoder(stages.encoder, release.id)),
            RemoteRetriever(stages.retriever, release.id),
            RemoteReranker(stages.reranker, release.id) if parts.has_reranker else None,
            depth,
            calibration=parts.calibration,
            hybrid=parts.hybrid,
        )

    return spread(home, make_searcher)
