"""Encoder: a query in, its unit vector out. Used where `serve.topology` is `spread`.

Gateway -> [Encoder] -> Retriever -> Reranker -> answer
"""

from serve.stage import Stage
from xmodal.search.opened import open_encoder
from xmodal.search.query import Encoded, Query


class EncoderStage:
    """The matcher's encoder, one batch at a time."""

    async def __init__(self, home: str, threads: int) -> None:  # type: ignore[misc]  # Serve awaits it
        """Open the live release's encoder."""
        self._stage = Stage(home, threads, open_encoder)
        await self._stage.holder.start()

    async def check_health(self) -> None:
        """A replica without an open release, or deaf to its moves, is replaced, not kept."""
        self._stage.holder.check()

    async def encode(self, release: str, query: Query, deadline_s: float) -> Encoded:
        """The query's vector by that release."""
        async with self._stage.holder.use(release) as held:
            return await held.part.encode(query, deadline_s)
