"""What the retriever finds: the nearest, and behind them products by their words or their id.

    Index or Overlay -> nearest -> + Extra (filters hold) -> Candidates with their BM25

Shapes: K candidates, P products of the index, D embedding size.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xmodal.index.facets import Filter
from xmodal.index.lexical import best
from xmodal.index.overlay import Found, Overlay, shown_of
from xmodal.index.version import Index, Kind
from xmodal.search.fusion import POOL
from xmodal.search.query import Candidates, Extra

Floats = NDArray[np.float32]


def nearest(
    index: Index | Overlay, query_D: Floats, k: int, wanted: Filter, kind: Kind
) -> Candidates:
    """The k nearest products. Raises FilterError for an unknown attribute."""
    if isinstance(index, Overlay):
        return Candidates(**vars(index.search(query_D, k, wanted, kind)))
    return Candidates(**vars(shown_of(index, index.search(query_D, k, wanted, kind))))


def widened(
    index: Index | Overlay,
    near: Candidates,
    query_D: Floats,
    extra: Extra,
    *,
    wanted: Filter,
    kind: Kind,
) -> Candidates:
    """`near`, and behind it what `extra` finds beside it, by falling cosine."""
    own = index.index if isinstance(index, Overlay) else index
    score_P = own.words.scores(extra.text) if extra.text and own.words is not None else None
    ids = list(extra.product_ids)
    if score_P is not None:
        passing_P = _may_pass(index, wanted) if wanted or own is not index else None
        ids += own.products.column("product_id", best(score_P, POOL, passing_P))
    known = set(near.product_ids)
    missing = [one for one in dict.fromkeys(ids) if one not in known]
    found = _joined(near, _among(index, query_D, missing, wanted, kind)) if missing else near
    words_K = None if score_P is None else _words(own, found, score_P)
    return replace(found, words=words_K, near=len(near))


def _may_pass(index: Index | Overlay, wanted: Filter) -> NDArray[np.bool_]:
    return index.may_pass(wanted) if isinstance(index, Overlay) else index.facets.mask(wanted)


def _among(
    index: Index | Overlay, query_D: Floats, ids: list[str], wanted: Filter, kind: Kind
) -> Found:
    """Those of the products that are there and pass."""
    if isinstance(index, Overlay):
        return index.among(query_D, set(ids), wanted, kind)
    known = [index.products.row_of(one) for one in ids]
    rows = np.array([row for row in known if row is not None], np.int64)
    if wanted:
        rows = rows[index.facets.mask(wanted)[rows]]
    return shown_of(index, index.among(query_D, rows, kind))


def _joined(near: Candidates, far: Found) -> Candidates:
    return Candidates(
        np.concatenate([near.vector_rows, far.vector_rows]),
        np.concatenate([near.scores, far.scores]),
        [*near.product_ids, *far.product_ids],
        [*near.titles, *far.titles],
        [*near.attributes, *far.attributes],
        [*near.prices, *far.prices],
    )


def _words(index: Index, found: Candidates, score_P: Floats) -> Floats:
    """BM25 of each candidate, (K,).

    A product that was changed since the build keeps its words while it keeps its title; those of a
    new one are read by the next build.
    """
    is_own_K = found.vector_rows < index.facts.vectors
    words_K = np.zeros(len(found), np.float32)
    words_K[is_own_K] = score_P[index.product_row_N[found.vector_rows[is_own_K]]]
    for k in np.flatnonzero(~is_own_K).tolist():
        row = index.products.row_of(found.product_ids[k])
        if row is not None and index.products.column("title", [row])[0] == found.titles[k]:
            words_K[k] = score_P[row]
    return words_K
