"""Products near to other products, by their stored vectors: nothing is encoded.

    ids -> vectors -> weighted mean -> retrieve (filters) -> those asked with left out -> diversify

Shapes: N products asked with, K candidates, D embedding size.
"""

import time

import numpy as np
from numpy.typing import NDArray

from xmodal.search.query import Answer, Related, Retriever
from xmodal.search.searcher import hits_of, timed
from xmodal.search.shown import retrieve_shown

POOL = 4  # candidates for each place of a diverse answer

Floats = NDArray[np.float32]


async def related(retriever: Retriever, wish: Related, deadline_s: float) -> Answer:
    """Answer `wish` before `deadline_s` (on the clock of `time.time()`).

    Raises UnknownProduct, FilterError, DeadlineExceeded, or Overloaded.
    """
    took_ms: dict[str, float] = {}
    start = time.perf_counter()
    names = list(wish.weights)
    vectors = retriever.vectors(names, deadline_s)
    vector_ND = await timed(took_ms, "vectors", vectors, deadline_s)
    weight_N = np.array([wish.weights[name] for name in names], dtype=np.float32)
    mean_D = weight_N @ vector_ND
    mean_D /= max(float(np.linalg.norm(mean_D)), 1e-12)
    left_out = wish.excluded | wish.weights.keys()
    k = wish.limit * (POOL if wish.diversity else 1) + len(left_out)
    retrieval = retrieve_shown(retriever, mean_D, k, wish, deadline_s)
    found = await timed(took_ms, "retrieve", retrieval, deadline_s)
    found = found.at([n for n, name in enumerate(found.product_ids) if name not in left_out])
    if wish.diversity and len(found):
        vectors = retriever.vectors(found.product_ids, deadline_s)
        vector_KD = await timed(took_ms, "diversify", vectors, deadline_s)
        found = found.at(mmr(found.scores, vector_KD, wish.limit, wish.diversity))
    took_ms["total"] = (time.perf_counter() - start) * 1000
    rounded = {stage: round(ms, 2) for stage, ms in took_ms.items()}
    return Answer(hits_of(found.first(wish.limit)), [], rounded)


def mmr(score_K: Floats, vector_KD: Floats, limit: int, diversity: float) -> list[int]:
    """Places of at most `limit` candidates: each is near to the wish and unlike those before it.

    Args:
        diversity: 0 to 1, the say of the likeness to those before against the score.

    Source: maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998.
    """
    chosen: list[int] = []
    likeness_K = np.zeros(len(score_K), dtype=np.float32)
    while len(chosen) < min(limit, len(score_K)):
        worth_K = (1 - diversity) * score_K - diversity * likeness_K
        worth_K[chosen] = -np.inf
        chosen.append(int(worth_K.argmax()))
        to_last_K = vector_KD @ vector_KD[chosen[-1]]
        likeness_K = to_last_K if len(chosen) == 1 else np.maximum(likeness_K, to_last_K)
    return chosen
