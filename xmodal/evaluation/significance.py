"""Is the difference of two runs on the same queries more than chance?

The interval is a paired bootstrap's, the p-value a paired permutation test's; `holm` corrects
the p-values of a family of comparisons. Shapes: Q common queries, R resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_CHUNK = 1 << 22  # draws held at once
# Swaps for each resample: of a family of 100 comparisons the least p must still be far below 0.05.
_SWAPS = 10


@dataclass(frozen=True)
class Comparison:
    """The mean of `ours` minus that of `theirs`, with its 95 % interval."""

    queries: int  # judged in both
    ours: float
    theirs: float
    difference: float
    low: float
    high: float
    p_value: float  # two-sided, of the permutation test

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def said(self) -> str:
        """For a table: the difference with its interval."""
        interval = f"95 %: {self.low:+.4f} to {self.high:+.4f}"
        return f"{self.difference:+.4f} ({interval}; {self.theirs:.4f} -> {self.ours:.4f})"


def compare(
    ours: Mapping[str, float], theirs: Mapping[str, float], *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare one metric of two runs, query by query; queries that only one has are left out.

    The interval: queries are drawn anew with replacement, the same ones for both runs,
    `resamples` times; it holds the middle 95 % of the differences. The p-value: the two runs are
    swapped on each query by a coin, ten times as often; it is the share of swaps with a difference
    as large as the one found.

    Source: Efron and Tibshirani 1993, section 16; for retrieval Sakai, SIGIR 2006 (bootstrap) and
    Smucker, Allan and Carterette, CIKM 2007 (permutation).
    """
    common = sorted(ours.keys() & theirs.keys())
    our_Q = np.array([ours[query] for query in common], dtype=np.float64)
    their_Q = np.array([theirs[query] for query in common], dtype=np.float64)
    if not common:
        return Comparison(0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    difference_Q = our_Q - their_Q
    low, high = interval(difference_Q, resamples=resamples, seed=seed)
    return Comparison(
        queries=len(common),
        ours=float(our_Q.mean()),
        theirs=float(their_Q.mean()),
        difference=float(difference_Q.mean()),
        low=low,
        high=high,
        p_value=_permuted(difference_Q, _SWAPS * resamples, seed),
    )


def interval(
    values: Sequence[float] | np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The middle 95 % of the means of bootstrap resamples of `values`; (0, 0) of none."""
    value_Q = np.asarray(values, dtype=np.float64)
    n = len(value_Q)
    if not n:
        return 0.0, 0.0
    draw = np.random.default_rng(seed)
    mean_R = _chunked(n, resamples, lambda rows: value_Q[draw.integers(0, n, (rows, n))].mean(1))
    low, high = np.quantile(mean_R, (0.025, 0.975))
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for being a family, in their order: below 0.05 each may be believed.

    The chance that any true null of the family is refused stays below the level that is chosen.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found, last = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        last = max(last, min(1.0, p_values[place] * (len(p_values) - rank)))
        found[place] = last
    return found


def _permuted(difference_Q: np.ndarray, swaps: int, seed: int) -> float:
    """Two-sided p of the mean, under signs drawn by a coin."""
    n, draw = len(difference_Q), np.random.default_rng(seed)

    def sums(rows: int) -> np.ndarray:
        coins = draw.integers(0, 256, (rows, -(-n // 8)), dtype=np.uint8)
        heads_RQ = np.unpackbits(coins, axis=1, count=n)
        return np.asarray(2 * (heads_RQ @ difference_Q) - difference_Q.sum())

    # Rounding must not part equal sums; one is added for the order that was seen: p is never 0.
    least = abs(difference_Q.sum()) - 1e-9
    as_large = int((np.abs(_chunked(n, swaps, sums)) >= least).sum())
    return (as_large + 1) / (swaps + 1)


def _chunked(n: int, resamples: int, means: Callable[[int], np.ndarray]) -> np.ndarray:
    """`means(rows)` of all resamples, a chunk in memory at a time."""
    step = max(1, _CHUNK // n)
    return np.concatenate([means(min(step, resamples - low)) for low in range(0, resamples, step)])
