"""Precision and recall at a score's threshold: what if a page shows only what is sure enough?

Shapes: A answers shown (query, product) of all queries, sorted by score.
"""

from collections.abc import Sequence

import numpy as np

from xmodal.evaluation.drawing import Axis, lines
from xmodal.evaluation.judge import Result
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.retrieval.metrics import Qrels
from xmodal.retrieval.topk import Floats

_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the answers shown


def thresholds(judged: Judged) -> Section | None:
    """Of the first ten products of each query: those above a threshold, for every threshold.

    Precision: share of the shown that are right; recall: share of all right products that are
    shown. A threshold is a value of the system's own score and of no other's.
    """
    results = judged.evaluation.headline
    if not results:
        return None
    qrels = judged.evaluation.tasks[f"{results[0].part} text-image"].qrels
    found = {one.system: precision_recall(one, qrels) for one in results}
    rows = [row for system, curve in found.items() for row in _rows(system, curve)]
    series = {
        name: [(float(r), float(p)) for _, p, r in _thinned(curve)] for name, curve in found.items()
    }
    last = results[-1]
    best = max(found[last.system], key=lambda one: _f1(one[1], one[2]), default=(0.0, 0.0, 0.0))
    top = max((recall for curve in found.values() for _, _, recall in curve), default=1.0)
    svg = lines(series, Axis("recall", 0, top or 1.0), Axis("precision", 0, 1))
    verdict = (
        f"{last.system} balances best at a score of {best[0]:.3f}: {best[1]:.0%} of what is shown "
        f"is right, and {best[2]:.0%} of what is right is shown"
    )
    return Section(
        "thresholds",
        f"Showing only what is sure enough, part {last.part}",
        verdict,
        (Table(("System", "Score at least", "Shown", "Precision", "Recall", "F1"), tuple(rows)),),
        (Picture(svg, "Precision against recall as the threshold of the score falls."),),
        ("a product that nobody judged counts as wrong: precision is at least what stands here",),
        data={"curves": {name: [list(row) for row in _thinned(c)] for name, c in found.items()}},
    )


def precision_recall(result: Result, qrels: Qrels) -> list[tuple[float, float, float]]:
    """(threshold, precision, recall) at each score of a shown product, from the highest down."""
    shown = [
        (score, qrels[query].get(product, 0) > 0)
        for query in qrels
        for product, score in zip(
            result.top.get(query, []), result.scores.get(query, []), strict=True
        )
    ]
    relevant = sum(grade > 0 for grades in qrels.values() for grade in grades.values())
    if not shown:
        return []
    score_A: Floats = np.array([score for score, _ in shown], dtype=np.float64)
    right_A = np.array([is_right for _, is_right in shown])
    order = np.argsort(-score_A, kind="stable")
    score_A, hits_A = score_A[order], np.cumsum(right_A[order])
    # A threshold shows all of a tie or none of it.
    ends = np.flatnonzero(np.append(score_A[1:] != score_A[:-1], True))
    return [
        (float(score_A[end]), float(hits_A[end] / (end + 1)), float(hits_A[end] / relevant))
        for end in ends.tolist()
    ]


def _rows(
    system: str, curve: Sequence[tuple[float, float, float]]
) -> list[tuple[str | float, ...]]:
    picked = [curve[max(0, round(share * len(curve)) - 1)] for share in _SHARES] if curve else []
    return [
        (system, score, f"{share:.0%}", precision, recall, _f1(precision, recall))
        for share, (score, precision, recall) in zip(_SHARES, picked, strict=False)
    ]


def _thinned(
    curve: Sequence[tuple[float, float, float]], most: int = 200
) -> list[tuple[float, float, float]]:
    if len(curve) <= most:
        return list(curve)
    places = np.unique(np.geomspace(1, len(curve), most).astype(int)) - 1
    return [curve[place] for place in places.tolist()]


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
