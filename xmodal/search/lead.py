"""Which candidates go before the others: pinned products, then by the fused or the first score.

    window (cosines, words) + Fusion + pins -> Lead: places and scores -> reranker, or the head

Shapes: K candidates of the window, L of the lead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xmodal.search.fusion import Fusion
from xmodal.search.query import Candidates
from xmodal.search.wishes import Floats


@dataclass(frozen=True)
class Lead:
    """Places in the window, and what the candidates there are ordered by."""

    places: list[int]
    score_L: Floats


def lead_of(found: Candidates, fusion: Fusion | None, pinned: Sequence[str], size: int) -> Lead:
    """Pinned products first, then the best `size` of all.

    Without fusion those that are only found by their words or their id are not among the best.
    """
    if fusion is not None and found.words is not None:
        score_K = fusion.scores(found.scores, found.words)
        order = np.argsort(-score_K, kind="stable")[:size].tolist()
    else:
        score_K = found.scores
        order = list(range(min(size, found.nearest)))
    at = {product_id: place for place, product_id in enumerate(found.product_ids)}
    first = [at[one] for one in pinned if one in at] if size else []
    places = list(dict.fromkeys([*first, *order]))
    return Lead(places, score_K[places])
