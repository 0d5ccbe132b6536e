"""The second stage on a run: its first candidates, re-ordered by the matcher's cross-encoder.

Shapes: K candidates of one query, T C patch tokens, N pictures.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from xmodal.evaluation.gallery import Gallery
from xmodal.matcher.inputs import Features
from xmodal.matcher.saved import Matcher
from xmodal.matcher.tokens import dequantise
from xmodal.retrieval.embed import FeatureStore
from xmodal.retrieval.metrics import Run, ranked
from xmodal.retrieval.topk import Floats, best_rows

_QUERIES = 64  # encoded at once


def rerank(
    matcher: Matcher,
    texts: Mapping[str, str],
    run: Run,
    gallery: Gallery,
    store: FeatureStore,
    *,
    candidates: int,
    titles: Sequence[str | None] | None = None,
) -> Run:
    """`run` with the first `candidates` of each query re-ordered; the rest keep their places.

    With a gallery of pictures alone the reranker is given no title; with one of products, `titles`
    (by product row). A product of several pictures is judged by the one that its query found best,
    as in serving.
    """
    names = list(texts)
    again: Run = {}
    for low in range(0, len(names), _QUERIES):
        some = names[low : low + _QUERIES]
        query = _encode(matcher, [texts[name] for name in some])
        for place, name in enumerate(some):
            order = ranked(run[name])
            products = order[:candidates]
            one = {key: value[place : place + 1] for key, value in query.items()}
            first_K = np.array([run[name][product] for product in products], np.float32)
            rows_K = np.array([gallery.row_of[product] for product in products], np.int64)
            vector_D = one["vector_BD"][0].numpy()
            best_K = best_rows(vector_D, gallery.vector_ND, gallery.product_row_N, rows_K)
            tokens = store.take(gallery.store_row_N[best_K], ["tokens", "scale"])
            shown = None if titles is None else [titles[row] or "" for row in rows_K.tolist()]
            logits = _score(matcher, one, first_K, tokens, shown)
            again[name] = _merged(products, logits, order[candidates:])
    return again


@torch.inference_mode()
def _encode(matcher: Matcher, texts: list[str]) -> Features:
    """What the reranker is given of queries: ids, words, frozen features and vector."""
    encoder = matcher.encoder
    tokens = encoder.inputs.texts(texts)
    trunk = encoder.text_trunk(tokens)
    return {"vector_BD": encoder.text_head(trunk), **tokens, **trunk}


@torch.inference_mode()
def _score(
    matcher: Matcher,
    query: Features,
    first_K: Floats,
    tokens: Mapping[str, np.ndarray],
    titles: list[str] | None,
) -> list[float]:
    assert matcher.reranker is not None
    first_BK = torch.from_numpy(first_K)[None]
    codes, steps = torch.from_numpy(tokens["tokens"]), torch.from_numpy(tokens["scale"])
    words = None if titles is None else matcher.encoder.inputs.words(titles)[None]
    logits_BK: Tensor = matcher.reranker(query, first_BK, dequantise(codes, steps)[None], words)
    logits: list[float] = logits_BK[0].float().tolist()
    return logits


def _merged(products: list[str], logits: list[float], rest: list[str]) -> dict[str, float]:
    """The re-ordered candidates, then the rest in their order, below all of them."""
    floor = min(logits, default=0.0)
    below = {product: floor - 1.0 - place for place, product in enumerate(rest)}
    return dict(zip(products, logits, strict=True)) | below
