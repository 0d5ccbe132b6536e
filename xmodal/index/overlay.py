"""An index with the changes that came after it was built: one exact search over both.

    journal of changes -> Overlay(vectors, tombstones) + Index (immutable) -> Found

A product that was put in hides its row of the index; one that was taken out is found in neither.
Rebuilt from the journals at every start; folded in by the next index build.
Shapes: R rows of the overlay, P its products, N rows asked for, K hits, D embedding.
"""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.changes import Change, Changes, ProductFacts
from xmodal.errors import RequestError, UnknownProduct, XmodalError
from xmodal.index.facets import PRICE, Filter, shown_counts
from xmodal.index.filters import NoneOf, Range, unknown_attribute
from xmodal.index.offset import measure_offset
from xmodal.index.table import Table, View
from xmodal.index.vectors import VectorLog, embed_or_leave
from xmodal.index.version import Hits, Index, Kind, Rows, load_probes

log = logging.getLogger(__name__)

SLACK = 32  # more hits asked of the index at first, for those that are hidden
RETRY_S = 5.0
KINDS: tuple[Kind, ...] = ("text", "image", "both")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """Products best first, with what an answer shows of them. `attributes` are JSON texts."""

    vector_rows: NDArray[np.int64]
    """Of the index; behind its last row, of the encoder's `VectorLog`."""
    scores: Floats
    product_ids: Sequence[str]
    titles: Sequence[str]
    attributes: Sequence[str]
    prices: Sequence[float | None]


class Overlay:
    """A live index; safe to search from several threads."""

    def __init__(self, index: Index, changes: Changes, vectors: VectorLog) -> None:
        """Take in all changes that there are; what was never embedded is embedded now."""
        self.index, self.changes, self.vectors = index, changes, vectors
        self.problem: str | None = None
        """Why the newest changes are not in, if they are not; they are tried again."""
        self._table = Table(index.facts.dim)
        self._offset = {kind: index.text_offset(kind) for kind in KINDS}
        self._has_offset = index.facts.text_rows > 0
        self._waiting: dict[str, Change] = {}
        self._lock, self._retry_at = threading.Lock(), 0.0
        self.refresh()

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return self.index.dim

    def refresh(self, wait_s: float = -1) -> None:
        """Take in what is new, so that the next search finds it: a look at a file if nothing is.

        What goes wrong is logged and kept in `problem`: the search goes on with what it has, and
        so it does after `wait_s` (-1: never) where another thread is still at it.
        """
        if self.changes.is_fresh() and not self._waiting:
            return
        if self._lock.acquire(timeout=wait_s):
            try:
                for change in self.changes.follow():
                    self._waiting[change.product_id] = change
                if self._waiting and time.monotonic() >= self._retry_at:
                    self._take_in(list(self._waiting.values()))
                    self._waiting, self.problem = {}, None
            except (XmodalError, OSError) as error:
                self.problem, self._retry_at = str(error), time.monotonic() + RETRY_S
                log.error("event=changes_not_in message=%s", error)
            finally:
                self._lock.release()

    def search(self, query_D: Floats, k: int, wanted: Filter = (), kind: Kind = "text") -> Found:
        """As `Index.search`, over index and overlay."""
        view = self._table.view
        hits = self._of_index(view, query_D, k, wanted, kind)
        if not view.count:
            return shown_of(self.index, hits)
        return self._joined(view, hits, view.best(query_D, k, wanted, self._offset[kind]), k)

    def among(
        self,
        query_D: Floats,
        product_ids: Collection[str],
        wanted: Filter = (),
        kind: Kind = "text",
    ) -> Found:
        """Those of these products that are there and pass, scored as `search` does."""
        view = self._table.view
        own = self._own(view, wanted)
        known = [self.index.products.row_of(one) for one in product_ids]
        rows = np.array([row for row in known if row is not None], np.int64)
        rows = rows[~np.isin(rows, view.hidden)]
        if wanted:
            rows = rows[self.index.facets.mask(own)[rows]] if own is not None else rows[:0]
        hits = self.index.among(query_D, rows, kind)
        if not view.count:
            return shown_of(self.index, hits)
        numbers_K, rows_K, scores_K = view.best(query_D, view.count, wanted, self._offset[kind])
        ids = [view.facts[number].product_id for number in numbers_K]
        asked = [at for at, one in enumerate(ids) if one in product_ids]
        live = numbers_K[asked], rows_K[asked], scores_K[asked]
        return self._joined(view, hits, live, len(product_ids))

    def may_pass(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which products of the index pass, (P,); of those that were changed since, all."""
        view = self._table.view
        own = self._own(view, wanted)
        count, facets = self.index.products.count, self.index.facets
        passed = np.zeros(count, bool) if own is None else facets.mask(own)
        passed[view.hidden] = True
        return passed

    def _joined(self, view: View, hits: Hits, live: tuple[Rows, Rows, Floats], k: int) -> Found:
        numbers_K, rows_K, scores_K = live
        facts = [view.facts[number] for number in numbers_K]
        shown = [json.dumps(dict(one.attributes), ensure_ascii=False) for one in facts]
        others = Found(
            rows_K + self.index.facts.vectors,
            scores_K,
            [one.product_id for one in facts],
            [one.title for one in facts],
            shown,
            [one.price for one in facts],
        )
        return _merged(shown_of(self.index, hits), others, k)

    def product_vectors(self, product_ids: Sequence[str]) -> Floats:
        """As `Index.product_vectors`, of products of either. Raises UnknownProduct."""
        view = self._table.view
        vector_ND = np.empty((len(product_ids), self.index.facts.dim), np.float32)
        for place, product_id in enumerate(product_ids):
            rows_RD = view.rows(product_id)
            if not len(rows_RD):
                row = self.index.products.known_row(product_id)
                if row in view.hidden:
                    raise UnknownProduct(f"no product {product_id!r}")
                rows_RD = self.index.product_vectors([product_id])
            total_D = rows_RD.sum(axis=0)
            vector_ND[place] = total_D / max(float(np.linalg.norm(total_D)), 1e-12)
        return vector_ND

    def counts(self, attributes: Sequence[str], wanted: Filter) -> dict[str, dict[str, int]]:
        """As `Index.counts`, of the products of both."""
        view, facets = self._table.view, self.index.facets
        own = self._own(view, wanted)
        passed = np.zeros(self.index.products.count, bool) if own is None else facets.mask(own)
        passed[view.hidden] = False
        live = [view.facts[number] for number in np.flatnonzero(view.mask(wanted)).tolist()]
        found = {}
        for name in attributes:
            if name not in facets.values and name not in view.keys:
                raise unknown_attribute(name, sorted({*facets.keys, *view.keys}))
            counted = Counter(facets.counts(name, passed) if name in facets.values else ())
            counted.update(one.attributes[name] for one in live if name in one.attributes)
            found[name] = shown_counts(name, counted)
        return found

    def _take_in(self, changes: Sequence[Change]) -> None:
        present = [(change.facts, change) for change in changes if change.facts is not None]
        wanted = [(facts, partial(self.changes.pictures, change)) for facts, change in present]
        embed_or_leave(self.vectors, wanted)
        if not self._has_offset and any(not facts.pictures for facts, _ in present):
            self._offset, self._has_offset = _estimated(self.index, self.vectors), True
        known = (self.index.products.row_of(change.product_id) for change in changes)
        rows = {facts.product_id: self.vectors.rows(facts) for facts, _ in present}
        self._table.take_in(changes, rows, [row for row in known if row is not None])

    def _of_index(self, view: View, query_D: Floats, k: int, wanted: Filter, kind: Kind) -> Hits:
        """The best k products of the index that are not hidden."""
        none = np.empty(0, np.int64)
        nothing = Hits(none, none, np.empty(0, np.float32))
        own = self._own(view, wanted)
        if own is None:
            return nothing
        for more in (min(SLACK, len(view.hidden)), len(view.hidden)):
            hits = self.index.search(query_D, k + more, own, kind)
            seen = ~np.isin(hits.product_rows, view.hidden)
            if seen.sum() >= k or len(hits.scores) < k + more:
                break
        return Hits(hits.product_rows[seen][:k], hits.vector_rows[seen][:k], hits.scores[seen][:k])

    def _own(self, view: View, wanted: Filter) -> Filter | None:
        """What `wanted` asks of the index's products; None where none of them can pass.

        Raises FilterError for an attribute that no product of either has, RequestError for a range
        without numbers.
        """
        own, can_pass = [], True
        for key, condition in wanted:
            is_price = key == PRICE and isinstance(condition, Range)
            if is_price or key in self.index.facets.values:
                own.append((key, condition))
            elif key not in view.keys:
                raise unknown_attribute(key, sorted({*self.index.facets.keys, *view.keys}))
            elif not isinstance(condition, NoneOf):
                can_pass = False
        try:
            self.index.facets.check(tuple(own))
        except RequestError:
            if not view.mask(wanted).any():
                raise
            return None
        return tuple(own) if can_pass else None


def shown_of(index: Index, hits: Hits) -> Found:
    """What an answer shows of the index's own products."""
    columns = [
        index.products.column(name, hits.product_rows)
        for name in ("product_id", "title", "attributes", "price")
    ]
    return Found(hits.vector_rows, hits.scores, *columns)


def _estimated(index: Index, vectors: VectorLog) -> dict[Kind, float]:
    """What is taken off texts where the index has none, measured on its sample of pictures.

    The next build measures it on held-out products.
    """
    probes = load_probes(index.folder)
    _, first = np.unique(probes["product_ids"], return_index=True)
    rows = [index.products.known_row(str(probes["product_ids"][one])) for one in first]
    titles = index.products.column("title", rows)
    titled = [(ProductFacts("", title, {}), one) for title, one in zip(titles, first, strict=True)]
    titled = [(facts, one) for facts, one in titled if facts.title]
    vectors.ensure([(facts, tuple) for facts, _ in titled], alone=True)
    title_PD = np.array([next(iter(vectors.rows(facts).values())) for facts, _ in titled])
    image_PD = probes["vectors"][[one for _, one in titled]]
    own = np.arange(len(titled))
    text = measure_offset(title_PD, own, image_PD, title_PD)
    image = measure_offset(image_PD, own, image_PD, title_PD)
    return {"text": text, "image": image, "both": (text + image) / 2}


def _merged(one: Found, other: Found, k: int) -> Found:
    """The best k of two, equal scores in order of product id."""
    scores = np.concatenate([one.scores, other.scores])
    ids = [*one.product_ids, *other.product_ids]
    order = sorted(range(len(ids)), key=lambda at: (-scores[at], ids[at]))[:k]
    rows = np.concatenate([one.vector_rows, other.vector_rows])

    def at(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        both = [*first, *second]
        return [both[place] for place in order]

    return Found(
        rows[order],
        scores[order],
        at(one.product_ids, other.product_ids),
        at(one.titles, other.titles),
        at(one.attributes, other.attributes),
        at(one.prices, other.prices),
    )
