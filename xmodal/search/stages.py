"""The three stages as local objects: torch and FAISS in threads, the event loop left free.

    LocalEncoder (batches texts and pictures apart) -> LocalRetriever -> LocalReranker (batches)

Shapes: B queries, K candidates, D embedding, T tokens of a picture, C channels, W words.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xmodal.index.facets import Filter
from xmodal.index.tokens import TokenStore
from xmodal.index.version import Index, Kind
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker as RerankerModel
from xmodal.search.batcher import Batcher
from xmodal.search.query import Candidates, Encoded, Query

Floats = NDArray[np.float32]


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

    def __init__(self, encoder: Encoder, pools: Pools, queue: int = 128) -> None:
        self._encoder, self._pools = encoder.eval(), pools
        self._texts = Batcher[str, Encoded](self._encode_texts, pools.torch, queue=queue)
        self._images = Batcher[Tensor, Encoded](self._encode_images, pools.torch, queue=queue)

    async def encode(self, query: Query, deadline_s: float) -> Encoded:
        """The query's vector; of a text and a picture, the sum of both brought to unit length.

        Raises MatcherError where the picture cannot be read.
        """
        parts = []
        if query.image is not None:
            loop, inputs = asyncio.get_running_loop(), self._encoder.inputs
            pixels_CHW = await loop.run_in_executor(self._pools.files, inputs.image, query.image)
            parts.append(self._images(pixels_CHW, deadline_s))
        if query.text:
            parts.append(self._texts(query.text, deadline_s))
        found = await asyncio.gather(*parts)
        total_D = np.sum([one.vector_D for one in found], axis=0)
        unit_D = total_D / max(float(np.linalg.norm(total_D)), 1e-12)
        return Encoded(unit_D.astype(np.float32), found[-1].features)

    @torch.inference_mode()
    def _encode_texts(self, texts: Sequence[str]) -> list[Encoded]:
        tokens = self._encoder.inputs.texts(texts)
        vectors_BD = self._encoder.encode_text(tokens)
        rows = zip(vectors_BD.numpy(), tokens["words_BW"].numpy(), strict=True)
        return [Encoded(vector_D, {"vector_BD": vector_D, "words_BW": w}) for vector_D, w in rows]

    @torch.inference_mode()
    def _encode_images(self, pixels: Sequence[Tensor]) -> list[Encoded]:
        vectors_BD = self._encoder.encode_image(torch.stack(list(pixels)))
        return [Encoded(vector_D) for vector_D in vectors_BD.numpy()]


class LocalRetriever:
    """Exact search in an opened index."""

    def __init__(self, index: Index, pools: Pools) -> None:
        self._index, self._pools = index, pools

    async def retrieve(self, vector_D: Floats, k: int, wanted: Filter, kind: Kind) -> Candidates:
        """The k nearest products. Raises FilterError for an unknown attribute."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pools.files, self._retrieve, vector_D, k, wanted, kind
        )

    def _retrieve(self, vector_D: Floats, k: int, wanted: Filter, kind: Kind) -> Candidates:
        hits = self._index.search(vector_D, k, wanted, kind)
        products = self._index.products
        columns = [
            products.column(name, hits.product_rows)
            for name in ("product_id", "title", "attributes")
        ]
        return Candidates(hits.vector_rows, hits.scores, *columns)


@dataclass(frozen=True)
class _Pair:
    encoded: Encoded
    candidates: Candidates


class LocalReranker:
    """The cross-encoder over candidates' patch tokens, read from the index's token store."""

    def __init__(
        self, model: RerankerModel, tokens: TokenStore, pools: Pools, queue: int = 64
    ) -> None:
        self._model, self._tokens = model.eval(), tokens
        self._batch = Batcher[_Pair, Floats](self._rerank, pools.torch, largest=8, queue=queue)

    async def rerank(self, encoded: Encoded, candidates: Candidates, deadline_s: float) -> Floats:
        """Logits (K,) of the candidates. Raises Overloaded or DeadlineExceeded."""
        return await self._batch(_Pair(encoded, candidates), deadline_s)

    @torch.inference_mode()
    def _rerank(self, pairs: Sequence[_Pair]) -> list[Floats]:
        """One forward for all pairs with as many candidates; most have the same number."""
        logits: dict[int, Floats] = {}
        for size in {len(pair.candidates) for pair in pairs}:
            chosen = [place for place, pair in enumerate(pairs) if len(pair.candidates) == size]
            found_BK = self._forward([pairs[place] for place in chosen])
            logits |= dict(zip(chosen, found_BK, strict=True))
        return [logits[place] for place in range(len(pairs))]

    def _forward(self, pairs: Sequence[_Pair]) -> Floats:
        features = [pair.encoded.features for pair in pairs]
        query = {
            name: torch.from_numpy(np.stack([one[name] for one in features]))
            for name in features[0]
        }
        first_BK = torch.from_numpy(np.stack([pair.candidates.scores for pair in pairs]))
        rows_BK = np.stack([pair.candidates.vector_rows for pair in pairs])
        tokens_BKTC = torch.from_numpy(self._tokens.take(rows_BK))
        logits_BK: Floats = self._model(query, first_BK, tokens_BKTC).float().numpy()
        return logits_BK
