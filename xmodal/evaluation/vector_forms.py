"""Smaller vectors of one encoder: fewer dimensions, fewer bits, rescored or not.

Shapes: Q queries, N gallery rows, D embedding, K results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xmodal.evaluation.sample import DEPTH, Sample
from xmodal.retrieval.codes import Codes, int8_codes, prefix, search_codes, sign_codes
from xmodal.retrieval.metrics import PerQuery, means
from xmodal.retrieval.topk import Floats, Ints

METRIC = "recall@10"
PREFIXES = (128, 64)
RESCORED = 2 * DEPTH  # candidates whose exact vectors are read


@dataclass(frozen=True)
class VectorForm:
    """A way to keep the gallery's vectors."""

    name: str
    bytes_per_vector: int
    """In memory; exact vectors that rescoring reads may lie on disk."""
    recall: float
    loss: float
    """Of the whole float vectors' R@10, relative."""


def vector_forms(sample: Sample, query_QD: Floats, gallery_ND: Floats) -> list[VectorForm]:
    """Whole float vectors first; then prefixes, int8 and sign bits, alone and rescored.

    Prefixes lose little where the matcher was trained with `training.matryoshka`.
    """
    found: list[VectorForm] = []
    for name, size, table in _judged(sample, query_QD, gallery_ND):
        recall = means(table)[METRIC]
        whole = found[0].recall if found else recall
        found.append(VectorForm(name, size, recall, 1 - recall / whole if whole else 0.0))
    return found


def _judged(
    sample: Sample, query_QD: Floats, gallery_ND: Floats
) -> Iterator[tuple[str, int, PerQuery]]:
    dim = gallery_ND.shape[1]
    yield f"float, {dim} dimensions", 4 * dim, sample.judge(query_QD, gallery_ND)
    for short in PREFIXES:
        if short < dim:
            cut = sample.judge(prefix(query_QD, short), prefix(gallery_ND, short))
            yield f"float, first {short} dimensions", 4 * short, cut
    made: dict[str, Codes] = {"int8": int8_codes(gallery_ND), "sign bits": sign_codes(gallery_ND)}
    for name, codes in made.items():
        alone = sample.judge_found(*_by_place(codes.candidates(query_QD, DEPTH)))
        yield name, codes.bytes_per_vector, alone
        again = search_codes(codes, query_QD, gallery_ND, DEPTH, rescored=RESCORED)
        yield f"{name}, {RESCORED} rescored", codes.bytes_per_vector, sample.judge_found(*again)


def _by_place(rows_QK: Ints) -> tuple[Floats, Ints]:
    """Scores that fall with the place: codes alone give an order, no score."""
    places_K = -np.arange(rows_QK.shape[1], dtype=np.float32)
    return np.broadcast_to(places_K, rows_QK.shape), rows_QK
