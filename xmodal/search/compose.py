"""Several texts, a picture and a history made one query vector: a weighted sum at unit length.

    sum of weight x unit vector -> unit length -> bent toward what a shopper looked at

Shapes: N parts or products, D embedding size.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import RequestError
from xmodal.search.wishes import Part

Floats = NDArray[np.float32]
LEAST_NORM = 1e-3  # of a sum of unit vectors, per unit of weight; below it only rounding is left


def combined(vectors: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """The weighted sum (D,) of unit vectors (D,), at unit length.

    Raises RequestError where the parts cancel each other out: no direction is left.
    """
    total_D = np.array(weights, dtype=np.float64) @ np.stack(vectors).astype(np.float64)
    norm = float(np.linalg.norm(total_D))
    if norm <= LEAST_NORM * float(np.abs(weights).sum()):
        raise RequestError("the parts cancel each other out; change a weight", "text", "no_query")
    return (total_D / norm).astype(np.float32)


def spoken(parts: Sequence[Part]) -> str | None:
    """What the reranker reads of a composed query: its positive texts, joined; None without any.

    It knows words, not weights, and no "without": what leads away stays in the first stage's score,
    which its logit begins with.
    """
    return " ".join(part.text for part in parts if part.weight > 0) or None


def bent(vector_D: Floats, history_ND: Floats, weight: float) -> Floats:
    """The query (D,) moved toward the mean of products looked at, at unit length.

    Args:
        vector_D: unit.
        history_ND: unit vectors of the products.
        weight: 0 leaves the query as it is, 1 leaves the history alone.
    """
    mean_D = history_ND.mean(axis=0, dtype=np.float64)
    mean_D /= max(float(np.linalg.norm(mean_D)), 1e-12)
    if weight in (0.0, 1.0):
        return vector_D if weight == 0.0 else mean_D.astype(np.float32)
    return combined([vector_D, mean_D.astype(np.float32)], [1 - weight, weight])
