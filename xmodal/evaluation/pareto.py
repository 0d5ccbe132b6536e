"""What is worth choosing where several things count: points that no other point beats.

Shapes: P points, C costs.
"""

from collections.abc import Sequence

import numpy as np


def pareto_front(costs: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points that no other dominates, in their order; less of each cost is better.

    A point dominates another where it costs no more of anything and less of something. Equal
    points do not dominate each other: all of them stay.

    >>> pareto_front([(1.0, 9.0), (2.0, 5.0), (2.0, 6.0), (3.0, 1.0)])
    [0, 1, 3]

    Source: the first front of the non-dominated sorting in NSGA-II, Deb et al., IEEE TEVC 2002,
    section III.A.
    """
    cost_PC = np.asarray(costs, dtype=np.float64)
    front = []
    for place, own_C in enumerate(cost_PC):
        beats_P = (cost_PC <= own_C).all(axis=1) & (cost_PC < own_C).any(axis=1)
        if not beats_P.any():
            front.append(place)
    return front
