"""The three stages as local objects: torch and FAISS in threads, the event loop left free.

    LocalEncoder (batches texts and pictures apart) -> LocalRetriever -> LocalReranker (batches)

Shapes: B queries, K candidates, D embedding, T tokens of a picture, C channels, W words.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xmodal.errors import DeadlineExceeded, Overloaded, RequestError
from xmodal.index.facets import Filter
from xmodal.index.overlay import Overlay
from xmodal.index.tokens import Tokens
from xmodal.index.version import Index, Kind
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.forms import Form
from xmodal.matcher.reranker import Reranker as RerankerModel
from xmodal.search.batcher import Batcher, Load
from xmodal.search.compose import combined
from xmodal.search.query import Candidates, Encoded, Extra, Query, Reranked
from xmodal.search.wider import nearest, widened
from xmodal.search.wishes import Part

Floats = NDArray[np.float32]
NEWS_S = 0.1  # longer no search waits for changes that another thread is taking in
Result = TypeVar("Result")
MOST_AT_ONCE = 1024  # candidates of one forward: their tokens take 8 kB each


@dataclass(frozen=True)
class Pools:
    """Threads of one process. Torch has one: two forwards at a time only share the cores."""

    torch: ThreadPoolExecutor
    files: ThreadPoolExecutor


def make_pools() -> Pools:
    """One thread for torch; two for FAISS, pictures and files."""
    return Pools(ThreadPoolExecutor(1, "torch"), ThreadPoolExecutor(2, "files"))


class LocalEncoder:
    """Texts and pictures to unit vectors, each kind in batches of its own."""

    def __init__(self, encoder: Encoder | Form, pools: Pools, queue: int = 128) -> None:
        """`encoder`: a model in inference mode, or a form of one."""
        self._inputs, self._pools = encoder.inputs, pools
        forward = _EncoderForward(encoder)
        self._texts = Batcher[str, Encoded](forward.texts, pools.torch, queue=queue)
        self._images = Batcher[Tensor, Encoded](forward.images, pools.torch, queue=queue)

    async def encode(self, query: Query, deadline_s: float) -> Encoded:
        """The query's vector; of several parts, their weighted sum brought to unit length.

        Raises QueryError where the picture cannot be read, RequestError where the parts cancel out,
        Overloaded, or DeadlineExceeded.
        """
        texts = list(query.parts)
        if query.text:  # beside parts it is only read, for the reranker
            texts.append(Part(query.text, 0.0 if query.parts else 1.0))
        calls = [self._texts(part.text, deadline_s) for part in texts]
        if query.image is not None:
            calls.append(self._image(query.image, deadline_s))
        found = await asyncio.gather(*calls)
        weights = [part.weight for part in texts] + [1.0] * (len(found) - len(texts))
        features = found[len(texts) - 1].features if query.text else {}
        return Encoded(combined([one.vector_D for one in found], weights), features)

    def loads(self) -> dict[str, Load]:
        """How busy its queues are."""
        return {"texts": self._texts.load, "pictures": self._images.load}

    async def _image(self, encoded: bytes, deadline_s: float) -> Encoded:
        loop, read = asyncio.get_running_loop(), self._inputs.image
        pixels_CHW = await loop.run_in_executor(self._pools.files, read, encoded)
        return await self._images(pixels_CHW, deadline_s)


class _EncoderForward:
    """The model, apart from the batchers that call it.

    No cycle: Ray freezes Python's collector (gc.freeze), so only a count of references that falls
    to zero gives back the memory of a release that was replaced.
    """

    def __init__(self, encoder: Encoder | Form) -> None:
        self._encoder = encoder

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> list[Encoded]:
        tokens = self._encoder.inputs.texts(texts)
        vectors_BD = self._encoder.encode_text(tokens)
        rows = zip(vectors_BD.numpy(), tokens["words_BW"].numpy(), strict=True)
        return [Encoded(vector_D, {"vector_BD": vector_D, "words_BW": w}) for vector_D, w in rows]

    @torch.inference_mode()
    def images(self, pixels: Sequence[Tensor]) -> list[Encoded]:
        vectors_BD = self._encoder.encode_image(torch.stack(list(pixels)))
        return [Encoded(vector_D) for vector_D in vectors_BD.numpy()]


class LocalRetriever:
    """Exact search in an opened index; at most `queue` queries wait for its threads.

    In an overlay what others have changed is looked for before each search.
    """

    def __init__(self, index: Index | Overlay, pools: Pools, queue: int = 128) -> None:
        self._index, self._pools, self._queue = index, pools, queue
        self._waiting = self._begun = 0

    def loads(self) -> dict[str, Load]:
        """How busy its threads are: a batch is one query."""
        return {"index": Load(self._waiting, self._begun, self._begun)}

    async def retrieve(
        self,
        vector_D: Floats,
        k: int,
        wanted: Filter,
        kind: Kind,
        deadline_s: float,
        *,
        extra: Extra | None = None,
    ) -> Candidates:
        """The k nearest products, and what `extra` finds behind them.

        Raises FilterError for an unknown attribute, Overloaded, or DeadlineExceeded.
        """
        work = partial(self._retrieve, vector_D, k, wanted, kind, extra=extra)
        return await self._run(work, deadline_s)

    async def vectors(self, product_ids: Sequence[str], deadline_s: float) -> Floats:
        """Stored vectors (N, D). Raises UnknownProduct, Overloaded, or DeadlineExceeded."""
        return await self._run(partial(self._vectors, product_ids), deadline_s)

    async def counts(
        self, attributes: Sequence[str], wanted: Filter, deadline_s: float
    ) -> Mapping[str, Mapping[str, int]]:
        """Products that pass, by value. Raises as `retrieve`, or RequestError for too many."""
        return await self._run(partial(self._counts, attributes, wanted), deadline_s)

    async def _run(self, work: Callable[[], Result], deadline_s: float) -> Result:
        """In a thread, when its turn comes and if there is time left then."""
        if self._waiting >= self._queue:
            raise Overloaded(f"{self._waiting} queries are waiting; try again later")

        def in_time() -> Result:
            if time.time() >= deadline_s:
                raise DeadlineExceeded("the query's time ran out in the queue")
            return work()

        self._waiting, self._begun = self._waiting + 1, self._begun + 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pools.files, in_time)
        finally:
            self._waiting -= 1

    def _vectors(self, product_ids: Sequence[str]) -> Floats:
        if isinstance(self._index, Overlay):
            self._index.refresh(NEWS_S)
        return self._index.product_vectors(product_ids)

    def _counts(self, attributes: Sequence[str], wanted: Filter) -> Mapping[str, Mapping[str, int]]:
        if isinstance(self._index, Overlay):
            self._index.refresh(NEWS_S)
        return self._index.counts(attributes, wanted)

    def _retrieve(
        self,
        vector_D: Floats,
        k: int,
        wanted: Filter,
        kind: Kind,
        *,
        extra: Extra | None = None,
    ) -> Candidates:
        if len(vector_D) != self._index.dim:  # only a cursor can bring one
            raise RequestError("the cursor is no answer's; leave it out", "cursor", "bad_cursor")
        if isinstance(self._index, Overlay):
            self._index.refresh(NEWS_S)
        near = nearest(self._index, vector_D, k, wanted, kind)
        if extra is None:
            return near
        return widened(self._index, near, vector_D, extra, wanted=wanted, kind=kind)


@dataclass(frozen=True)
class _Pair:
    encoded: Encoded
    candidates: Candidates


class LocalReranker:
    """The cross-encoder over candidates' patch tokens, read from the index's token store."""

    def __init__(self, model: RerankerModel, tokens: Tokens, pools: Pools, queue: int = 64) -> None:
        forward = _RerankerForward(model.eval(), tokens)
        self._batch = Batcher[_Pair, Reranked](forward.pairs, pools.torch, largest=8, queue=queue)

    def loads(self) -> dict[str, Load]:
        """How busy its queue is."""
        return {"reranker": self._batch.load}

    async def rerank(self, encoded: Encoded, candidates: Candidates, deadline_s: float) -> Reranked:
        """Logits (K,) of the candidates. Raises Overloaded or DeadlineExceeded."""
        return await self._batch(_Pair(encoded, candidates), deadline_s)


@dataclass(frozen=True)
class _RerankerForward:
    """The model and its tokens, apart from the batcher that calls them: no cycle, as above."""

    model: RerankerModel
    tokens: Tokens

    @torch.inference_mode()
    def pairs(self, pairs: Sequence[_Pair]) -> list[Reranked]:
        """One forward for all pairs with as many candidates; most have the same number."""
        start = time.perf_counter()
        logits: dict[int, Floats] = {}
        for size in {len(pair.candidates) for pair in pairs}:
            alike = [place for place, pair in enumerate(pairs) if len(pair.candidates) == size]
            step = max(1, MOST_AT_ONCE // max(size, 1))
            for first in range(0, len(alike), step):
                chosen = alike[first : first + step]
                found_BK = self._forward([pairs[place] for place in chosen])
                logits |= dict(zip(chosen, found_BK, strict=True))
        run_s = time.perf_counter() - start
        return [Reranked(logits[place], run_s) for place in range(len(pairs))]

    def _forward(self, pairs: Sequence[_Pair]) -> Floats:
        features = [pair.encoded.features for pair in pairs]
        query = {
            name: torch.from_numpy(np.stack([one[name] for one in features]))
            for name in features[0]
        }
        first_BK = torch.from_numpy(np.stack([pair.candidates.scores for pair in pairs]))
        rows_BK = np.stack([pair.candidates.vector_rows for pair in pairs])
        tokens_BKTC = torch.from_numpy(self.tokens.take(rows_BK))
        logits_BK: Floats = self.model(query, first_BK, tokens_BKTC).float().numpy()
        return logits_BK
