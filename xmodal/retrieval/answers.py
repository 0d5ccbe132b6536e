"""Answers as the service gives them, with their scores: for those who ask what a score means.

    texts -> first stage (products, by their best picture) -> reranker -> Scored, best first

Shapes: Q queries, K candidates, N pictures of the store, D embedding.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker
from xmodal.matcher.tokens import dequantise
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.topk import Floats, Ints, best_rows, topk_products


@dataclass(frozen=True)
class Scored:
    """One query's candidates in the order in which they are shown."""

    vector_D: Floats  # the query's
    product_K: Ints  # catalogue rows
    first_K: Floats  # cosines of the first stage
    score_K: Floats  # the reranker's logits where it was asked, else the same cosines

    def shares(self, temperature: float) -> Floats:
        """What the matcher itself says of its candidates, (K,): a softmax over them."""
        raised_K = np.exp(temperature * (self.score_K - self.score_K.max(initial=-np.inf)))
        return np.asarray(raised_K / raised_K.sum(), dtype=np.float32)


def score_answers(
    encoder: Encoder,
    reranker: Reranker | None,
    store: FeatureStore,
    texts: Sequence[str],
    hidden: Sequence[Ints],
    *,
    depth: int,
) -> list[Scored]:
    """The `depth` best products of each text, among all but its `hidden` catalogue rows."""
    vector_ND = np.asarray(store.column("vector"), dtype=np.float32)
    product_N = np.asarray(store.product_row)
    query_QD = embed_texts(encoder, texts)
    words_QW = encoder.inputs.words(texts) if texts else torch.zeros(0, 0)
    alike: dict[bytes, list[int]] = defaultdict(list)
    for place, rows in enumerate(hidden):
        alike[np.unique(rows).tobytes()].append(place)
    found: dict[int, Scored] = {}
    for places in alike.values():
        kept_R = np.flatnonzero(~np.isin(product_N, hidden[places[0]]))
        gallery = vector_ND[kept_R], product_N[kept_R]
        first_QK, product_QK = topk_products(query_QD[places], *gallery, depth)
        for place, first_K, product_K in zip(places, first_QK, product_QK, strict=True):
            shown_K = product_K >= 0
            one = Scored(query_QD[place], product_K[shown_K], first_K[shown_K], first_K[shown_K])
            if reranker is not None and len(one.product_K):
                rows_K = kept_R[best_rows(query_QD[place], *gallery, one.product_K)]
                query = torch.from_numpy(query_QD[place]), words_QW[place]
                one = _reranked(reranker, store, query, one, rows_K)
            found[place] = one
    return [found[place] for place in range(len(texts))]


@torch.inference_mode()
def _reranked(
    reranker: Reranker,
    store: FeatureStore,
    query: tuple[torch.Tensor, torch.Tensor],
    one: Scored,
    rows_K: Ints,
) -> Scored:
    taken = store.take(rows_K, ["tokens", "scale"])
    tokens = dequantise(torch.from_numpy(taken["tokens"]), torch.from_numpy(taken["scale"]))
    asked = {"vector_BD": query[0][None], "words_BW": query[1][None]}
    logits_K = reranker(asked, torch.from_numpy(one.first_K)[None], tokens[None])[0].numpy()
    order = np.argsort(-logits_K, kind="stable")
    return Scored(one.vector_D, one.product_K[order], one.first_K[order], logits_K[order])
