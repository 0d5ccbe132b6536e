"""Paired bootstrap: is the difference of two runs on the same queries more than chance?

Shapes: Q common queries, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_CHUNK = 1 << 24  # draws held at once


@dataclass(frozen=True)
class Comparison:
    """The mean of `ours` minus that of `theirs`, with its 95 % interval."""

    queries: int  # judged in both
    ours: float
    theirs: float
    difference: float
    low: float
    high: float
    p_value: float  # two-sided

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def compare(
    ours: Mapping[str, float], theirs: Mapping[str, float], *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare one metric of two runs, query by query; queries that only one has are left out.

    Queries are drawn anew with replacement, the same ones for both runs, `resamples` times; the
    interval holds the middle 95 % of the differences.

    Source: Efron and Tibshirani 1993, section 16; for retrieval Sakai, SIGIR 2006.
    """
    common = sorted(ours.keys() & theirs.keys())
    our_Q = np.array([ours[query] for query in common], dtype=np.float64)
    their_Q = np.array([theirs[query] for query in common], dtype=np.float64)
    if not common:
        return Comparison(0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    drawn_R = _resample(our_Q - their_Q, resamples, seed)
    low, high = np.quantile(drawn_R, (0.025, 0.975))
    # One is added, as if the sample itself were drawn once: p is never 0.
    tail = min(int((drawn_R <= 0).sum()), int((drawn_R >= 0).sum()))
    return Comparison(
        queries=len(common),
        ours=float(our_Q.mean()),
        theirs=float(their_Q.mean()),
        difference=float((our_Q - their_Q).mean()),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * (tail + 1) / (resamples + 1)),
    )


def _resample(difference_Q: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Mean differences of R resamples."""
    draw, n = np.random.default_rng(seed), len(difference_Q)
    step = max(1, _CHUNK // n)
    means = [
        difference_Q[draw.integers(0, n, (min(step, resamples - low), n))].mean(axis=1)
        for low in range(0, resamples, step)
    ]
    return np.concatenate(means)
