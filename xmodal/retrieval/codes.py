"""Codes of vectors, and search in them: few bytes find candidates, exact products order them.

    vectors -> int8 (a quarter of the bytes) or sign bits (a thirty-second) -> R candidates
    -> inner products of the exact vectors -> K results

Shapes: Q queries, N gallery rows, D embedding, R candidates, K results.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xmodal.retrieval.topk import NO_ROW, Floats, Ints, topk

_LEVELS = 127
_WORD_BITS = 64


class Codes(Protocol):
    """Codes of N vectors."""

    @property
    def bytes_per_vector(self) -> int:
        """What one vector takes."""
        ...

    def candidates(self, query_QD: Floats, count: int) -> Ints:
        """Rows (Q, R) of the best `count` by the codes alone, best first; -1 past the last."""
        ...


@dataclass(frozen=True)
class Int8Codes:
    """One byte a dimension, each dimension with a step of its own; queries stay float."""

    code_ND: NDArray[np.int8]
    step_D: Floats

    @property
    def bytes_per_vector(self) -> int:
        """D."""
        return int(self.code_ND.shape[1])

    def candidates(self, query_QD: Floats, count: int) -> Ints:
        """By the inner product with the decoded vectors."""
        return topk(query_QD * self.step_D, self.code_ND.astype(np.float32), count)[1]


@dataclass(frozen=True)
class SignCodes:
    """One bit for each of D random directions: on which side of the gallery's middle it lies.

    Directions and not dimensions: there a bit of little spread would weigh as much as any other.
    Source: random rotation before the sign, Gong et al., arXiv 1212.4522 (ITQ), section 3.
    """

    word_NW: NDArray[np.uint64]
    turn_DD: Floats

    @property
    def bytes_per_vector(self) -> int:
        """D / 8, in whole words of 64 bits."""
        return 8 * int(self.word_NW.shape[1])

    def candidates(self, query_QD: Floats, count: int) -> Ints:
        """By the number of equal bits; the lower row first where it is the same.

        A query is not centred: what the gallery's mean adds is the same for all its rows.
        """
        word_QW = _packed(query_QD @ self.turn_DD)
        rows_QR = np.full((len(query_QD), count), NO_ROW, dtype=np.int64)
        for q, word_W in enumerate(word_QW):
            differ_N = np.bitwise_count(self.word_NW ^ word_W).sum(1, dtype=np.int64)
            best = np.argsort(differ_N, kind="stable")[:count]
            rows_QR[q, : len(best)] = best
        return rows_QR


def prefix(vector_ND: Floats, dim: int) -> Floats:
    """The first `dim` dimensions (N, dim), at unit length again."""
    cut_ND = vector_ND[:, :dim]
    return np.asarray(cut_ND / np.linalg.norm(cut_ND, axis=1, keepdims=True).clip(1e-12))


def int8_codes(vector_ND: Floats) -> Int8Codes:
    """Encode; the error of a value is at most half a step, the dimension's largest value / 127."""
    step_D = np.maximum(np.abs(vector_ND).max(0), 1e-12) / _LEVELS
    return Int8Codes(np.rint(vector_ND / step_D).astype(np.int8), step_D.astype(np.float32))


def sign_codes(vector_ND: Floats) -> SignCodes:
    """Encode by the signs of what is left when the mean is taken away, turned."""
    dim = vector_ND.shape[1]
    turn_DD = np.linalg.qr(np.random.default_rng(0).normal(size=(dim, dim)))[0].astype(np.float32)
    centred_ND = vector_ND - vector_ND.mean(0, dtype=np.float32)
    return SignCodes(_packed(centred_ND @ turn_DD), turn_DD)


def search_codes(
    codes: Codes, query_QD: Floats, gallery_ND: Floats, k: int, rescored: int
) -> tuple[Floats, Ints]:
    """As `topk`, among the `rescored` best by the codes: with all N of them it is exact.

    Args:
        gallery_ND: the exact vectors; only candidates are read, so a memory map will do.
        rescored: candidates R a query, at least `k`.
    """
    rows_QR = np.sort(codes.candidates(query_QD, max(k, rescored)), axis=1)
    scores_QK = np.full((len(query_QD), k), -np.inf, dtype=np.float32)
    rows_QK = np.full((len(query_QD), k), NO_ROW, dtype=np.int64)
    for q, rows_R in enumerate(rows_QR):
        found = rows_R[rows_R != NO_ROW]  # ascending, so that equal scores keep the lower row first
        score_R = np.asarray(gallery_ND[found], dtype=np.float32) @ query_QD[q]
        best = np.argsort(-score_R, kind="stable")[:k]
        scores_QK[q, : len(best)], rows_QK[q, : len(best)] = score_R[best], found[best]
    return scores_QK, rows_QK


def overlap(found_QK: Ints, exact_QK: Ints) -> float:
    """Share of the exact results that were found: recall against exact search."""
    pairs = zip(found_QK.tolist(), exact_QK.tolist(), strict=True)
    shares = [
        len({*ours} & {row for row in wanted if row != NO_ROW})
        / max(1, sum(row != NO_ROW for row in wanted))
        for ours, wanted in pairs
    ]
    return float(np.mean(shares)) if shares else 0.0


def _packed(vector_ND: Floats) -> NDArray[np.uint64]:
    """Signs as words (N, W); the last one is filled up with zeros."""
    bits = np.packbits(vector_ND > 0, axis=1)
    short = -bits.shape[1] % (_WORD_BITS // 8)
    return np.ascontiguousarray(np.pad(bits, ((0, 0), (0, short)))).view(np.uint64)
