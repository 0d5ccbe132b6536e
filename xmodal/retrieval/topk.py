"""Exact search in blocks: the nearest rows, or the nearest products of several pictures each.

Shapes: Q queries, N gallery rows, D embedding, K results, P products.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

NO_ROW = -1
_QUERY_BLOCK = 256  # with 65,536 gallery rows a block of scores is 64 MiB


def topk(query_QD: Floats, gallery_ND: Floats, k: int, block: int = 65_536) -> tuple[Floats, Ints]:
    """Scores (Q, K) and rows (Q, K) of the largest inner products, best first.

    Equal scores: the lower row first, whatever the block. Where there are fewer than k rows the
    rest is filled with -inf and -1.
    """
    return topk_products(query_QD, gallery_ND, np.arange(len(gallery_ND)), k, block)


def topk_products(
    query_QD: Floats, gallery_ND: Floats, product_row_N: Ints, k: int, block: int = 65_536
) -> tuple[Floats, Ints]:
    """As `topk`, over products: a product's score is that of its best row.

    Args:
        product_row_N: the product of each gallery row, in any order.

    Returns:
        scores (Q, K) float32 and product rows (Q, K) int64.
    """
    if (np.diff(product_row_N) < 0).any():
        order_N = np.argsort(product_row_N, kind="stable")
        gallery_ND, product_row_N = gallery_ND[order_N], product_row_N[order_N]
    # Where each product begins: a block never parts a product's rows.
    starts_P = np.flatnonzero(np.diff(product_row_N, prepend=product_row_N[:1] - 1))
    scores_QK = np.full((len(query_QD), k), -np.inf, dtype=np.float32)
    rows_QK = np.full((len(query_QD), k), NO_ROW, dtype=np.int64)
    for low in range(0, len(query_QD), _QUERY_BLOCK):
        here = slice(low, low + _QUERY_BLOCK)
        query_BD = np.asarray(query_QD[here], dtype=np.float32)
        for first, last in _cuts(starts_P, len(gallery_ND), block):
            begin_P = starts_P[first:last]
            end = starts_P[last] if last < len(starts_P) else len(gallery_ND)
            rows_ND = np.asarray(gallery_ND[begin_P[0] : end], dtype=np.float32)
            score_BP = query_BD @ rows_ND.T
            if len(begin_P) < score_BP.shape[1]:
                score_BP = np.maximum.reduceat(score_BP, begin_P - begin_P[0], axis=1)
            _merge(scores_QK[here], rows_QK[here], score_BP, product_row_N[begin_P])
    return scores_QK, rows_QK


def best_rows(query_D: Floats, gallery_ND: Floats, product_row_N: Ints, products_K: Ints) -> Ints:
    """The gallery row (K,) that is each product's nearest to the query.

    Args:
        product_row_N: the product of each gallery row, ascending.
        products_K: products that have a row.
    """
    first_K = np.searchsorted(product_row_N, products_K, side="left")
    last_K = np.searchsorted(product_row_N, products_K, side="right")
    best_K = first_K.copy()
    for k in np.flatnonzero(last_K - first_K > 1):
        best_K[k] += int(np.argmax(gallery_ND[first_K[k] : last_K[k]] @ query_D))
    return best_K


def _cuts(starts_P: Ints, n_rows: int, block: int) -> list[tuple[int, int]]:
    """Ranges of products whose rows make up about `block` rows each."""
    cuts = np.searchsorted(starts_P, np.arange(0, n_rows, block))
    edges = np.unique(np.append(cuts, len(starts_P)))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _merge(best_BK: Floats, row_BK: Ints, score_BP: Floats, product_P: Ints) -> None:
    """Put the best of what was found before and of this block into `best_BK`, `row_BK`."""
    k = best_BK.shape[1]
    limit_B = np.full(len(score_BP), -np.inf, dtype=np.float32)
    if score_BP.shape[1] > k:
        limit_B = np.partition(score_BP, -k, axis=1)[:, -k]
    limit_B = np.maximum(limit_B, best_BK[:, -1])
    for b, (score_P, limit) in enumerate(zip(score_BP, limit_B, strict=True)):
        new = np.flatnonzero(score_P >= limit)
        scores = np.concatenate([best_BK[b], score_P[new]])
        rows = np.concatenate([row_BK[b], product_P[new]])
        # Earlier blocks hold lower rows, so a stable sort keeps ties in row order.
        order = np.argsort(-scores, kind="stable")[:k]
        best_BK[b], row_BK[b] = scores[order], rows[order]
