"""What speaks for a product: the nearest by vector and the best by words, each scored by both.

Shapes: K candidates, P products, D embedding size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.index.facets import Filter
from xmodal.index.lexical import best
from xmodal.index.version import Hits, Index, Kind
from xmodal.search.fusion import POOL, Floats, Fusion


@dataclass(frozen=True)
class Evidence:
    """Candidates of one query in the order of their cosines, and what their words say."""

    hits: Hits
    words_K: Floats

    def fused(self, fusion: Fusion) -> tuple[NDArray[np.int64], Floats]:
        """Places in the new order, and the fused scores there; ties keep the order of cosines."""
        score_K = fusion.scores(self.hits.scores, self.words_K)
        order = np.argsort(-score_K, kind="stable")
        return order, score_K[order]


def gather(
    index: Index,
    query_D: Floats,
    score_P: Floats,
    k: int,
    *,
    wanted: Filter = (),
    kind: Kind = "text",
) -> Evidence:
    """The `k` (POOL at least) best of either side, filters held by both.

    Args:
        score_P: BM25 of every product.

    Raises FilterError for an unknown attribute.
    """
    k = max(k, POOL)
    near = index.search(query_D, k, wanted, kind)
    passing_P = index.facets.mask(wanted) if wanted else None
    said = best(score_P, k, passing_P)
    others = said[~np.isin(said, near.product_rows)]
    if not len(others):
        return Evidence(near, score_P[near.product_rows])
    far = index.among(query_D, others, kind)
    hits = Hits(
        np.concatenate([near.product_rows, far.product_rows]),
        np.concatenate([near.vector_rows, far.vector_rows]),
        np.concatenate([near.scores, far.scores]),
    )
    return Evidence(hits, score_P[hits.product_rows])
