"""How far probabilities can be believed, and how well a score tells two groups apart.

Shapes: N events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64] | Sequence[float]
BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Said against seen, in bins of equal mass."""

    said: list[float]  # mean probability of each bin, ascending
    seen: list[float]  # share of events in it
    count: list[int]
    ece: float
    """Expected calibration error: the mean of |said - seen| over all events."""
    brier: float
    """Mean of (probability - event) squared."""


def reliability(probability_N: Values, event_N: Values, bins: int = BINS) -> Reliability:
    """Bins of equal mass; equal probabilities stay together where they fill a bin.

    >>> reliability([0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0], bins=2).seen
    [0.0, 0.5]

    Source: Guo et al., arXiv 1706.04599, section 2; equal mass as in Nixon et al., arXiv
    1904.01685, section 3. Brier 1950.
    """
    order = np.argsort(np.asarray(probability_N, dtype=np.float64), kind="stable")
    said_N = np.asarray(probability_N, dtype=np.float64)[order]
    seen_N = np.asarray(event_N, dtype=np.float64)[order]
    parts = [part for part in np.array_split(np.arange(len(order)), bins) if len(part)]
    said = [float(said_N[part].mean()) for part in parts]
    seen = [float(seen_N[part].mean()) for part in parts]
    count = [len(part) for part in parts]
    gaps = [abs(p - q) * n for p, q, n in zip(said, seen, count, strict=True)]
    brier = float(((said_N - seen_N) ** 2).mean()) if len(order) else 0.0
    return Reliability(said, seen, count, sum(gaps) / max(len(order), 1), brier)


def auroc(low: Values, high: Values) -> float:
    """Chance that one of `high` has a larger score than one of `low`; ties count half.

    >>> auroc([1.0, 2.0], [2.0, 3.0])
    0.875

    Source: Hanley and McNeil 1982 (the Mann-Whitney statistic).
    """
    low_N, high_N = np.sort(np.asarray(low, np.float64)), np.asarray(high, np.float64)
    below = np.searchsorted(low_N, high_N, side="left")
    up_to = np.searchsorted(low_N, high_N, side="right")
    return float((below + up_to).sum() / 2 / max(len(low_N) * len(high_N), 1))
