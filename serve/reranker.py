"""Reranker: candidates in, a logit for each out. Used where `serve.topology` is `spread`.

Gateway -> Encoder -> Retriever -> [Reranker] -> answer
"""

from serve.stage import Stage
from xmodal.search.opened import Parts, open_reranker
from xmodal.search.query import Candidates, Encoded, Reranked
from xmodal.search.stages import LocalReranker, Pools


class RerankerStage:
    """The cross-encoder beside the token store."""

    async def __init__(self, home: str, threads: int) -> None:  # type: ignore[misc]  # Serve awaits it
        """Open the live release's reranker, if it has one."""
        self._stage = Stage(home, threads, _open)
        await self._stage.holder.start()

    async def check_health(self) -> None:
        """A replica without an open release, or deaf to its moves, is replaced, not kept."""
        self._stage.holder.check()

    async def rerank(
        self, release: str, encoded: Encoded, candidates: Candidates, deadline_s: float
    ) -> Reranked:
        """Logits (K,) by that release."""
        async with self._stage.holder.use(release) as held:
            assert held.part is not None  # the gateway asks only where the matcher has one
            return await held.part.rerank(encoded, candidates, deadline_s)


def _open(parts: Parts, pools: Pools) -> LocalReranker | None:
    return open_reranker(parts, pools) if parts.has_reranker else None
