"""The overlay's products in arrays: grown in place by one writer, read by any thread at any time.

A product's rows lie side by side. What a reader holds (`View`) never changes under it: rows behind
its end are not its own, and which products are alive is copied for each view.
Shapes: R rows, P products that ever were, K hits, D embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.changes import Change, ProductFacts
from xmodal.index.facets import PRICE, Filter
from xmodal.index.filters import Condition, NoneOf, Range, number_of

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
MOST_MASKS = 64
LEAST_DEAD = 1024  # products; fewer are not worth the copying


@dataclass(frozen=True)
class View:
    """One state of the table."""

    vector_RD: Floats
    row_R: Ints  # numbers of the rows in the encoder's log
    start_P: Ints  # where each product's rows begin
    facts: Sequence[ProductFacts]  # may be longer than P
    alive_P: NDArray[np.bool_]
    text_P: NDArray[np.bool_]  # whose one row is the vector of a text
    number_of: Mapping[str, int]  # of a product that is alive
    hidden: Ints  # rows of the index's products that the table has a word on
    keys: frozenset[str]  # attributes of its products
    _masks: dict[Filter, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Products that ever were."""
        return len(self.start_P)

    def rows(self, product_id: str) -> Floats:
        """The vectors of a product; none where it is not here."""
        number = self.number_of.get(product_id)
        if number is None:
            return self.vector_RD[:0]
        stop = self.start_P[number + 1] if number + 1 < self.count else len(self.vector_RD)
        return self.vector_RD[self.start_P[number] : stop]

    def best(
        self, query_D: Floats, k: int, wanted: Filter, offset: float
    ) -> tuple[Ints, Ints, Floats]:
        """The best k products: their numbers, their best row's number in the log, and its score."""
        score_R = self.vector_RD @ query_D
        score_P = np.maximum.reduceat(score_R, self.start_P) - offset * self.text_P
        score_P = np.where(self.mask(wanted), score_P, -np.inf)
        chosen = self._first(score_P, min(k, self.count))
        stops_P = np.append(self.start_P[1:], len(score_R))
        best_row = [
            self.row_R[self.start_P[one] + score_R[self.start_P[one] : stops_P[one]].argmax()]
            for one in chosen
        ]
        return chosen, np.array(best_row, np.int64), score_P[chosen].astype(np.float32)

    def _first(self, score_P: Floats, k: int) -> Ints:
        """Numbers of the best k products that are there, equal scores in order of product id."""
        least = -np.partition(-score_P, k - 1)[k - 1]
        near = np.flatnonzero(np.isfinite(score_P) & (score_P >= least))
        order = sorted(near.tolist(), key=lambda one: (-score_P[one], self.facts[one].product_id))
        return np.array(order[:k], np.int64)

    def mask(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which products are alive and have the wanted values."""
        if not wanted:
            return self.alive_P
        mask = self._masks.get(wanted)
        if mask is None:
            mask = self.alive_P.copy()
            for number in np.flatnonzero(mask).tolist():
                mask[number] = all(_holds(self.facts[number], *one) for one in wanted)
            if len(self._masks) >= MOST_MASKS:
                self._masks.clear()
            self._masks[wanted] = mask
        return mask


def _holds(facts: ProductFacts, key: str, condition: Condition) -> bool:
    """Whether a product grants what a filter asks of one attribute (or of the price)."""
    value = facts.attributes.get(key)
    if isinstance(condition, Range):
        number = number_of(value or "")
        if key == PRICE:
            number = np.nan if facts.price is None else facts.price
        return bool(condition.holds(np.array([number]))[0])
    if isinstance(condition, NoneOf):
        return value not in condition.values
    return value in condition


class Table:
    """What is put in and taken out, by one thread at a time; `view` is its newest state."""

    def __init__(self, dim: int) -> None:
        self._vector_RD = np.empty((64, dim), np.float32)
        self._row_R = np.empty(64, np.int64)
        self._start_P = np.empty(64, np.int64)
        self._alive_P, self._text_P = np.zeros(64, bool), np.zeros(64, bool)
        self._facts: list[ProductFacts] = []
        self._number_of: dict[str, int] = {}
        self._hidden = np.empty(0, np.int64)
        self._keys: frozenset[str] = frozenset()
        self._rows = 0
        self.view = self._seen()

    def take_in(
        self,
        changes: Sequence[Change],
        rows: Mapping[str, Mapping[int, Floats]],
        hidden: Sequence[int],
    ) -> None:
        """One word on each of several products.

        Args:
            rows: of those that are there, each row's number in the log and its vector.
            hidden: rows of the index's products among them.
        """
        for change in changes:
            number = self._number_of.pop(change.product_id, None)
            if number is not None:
                self._alive_P[number] = False
            if change.facts is not None and rows[change.product_id]:
                self._add(change.facts, rows[change.product_id])
        self._hidden = np.union1d(self._hidden, np.array(hidden, np.int64))
        if len(self._facts) - len(self._number_of) > max(LEAST_DEAD, len(self._number_of)):
            self._compact()
        self.view = self._seen()

    def _add(self, facts: ProductFacts, rows: Mapping[int, Floats]) -> None:
        number, stop = len(self._facts), self._rows + len(rows)
        self._vector_RD = _grown(self._vector_RD, stop)
        self._row_R = _grown(self._row_R, stop)
        self._start_P = _grown(self._start_P, number + 1)
        self._alive_P = _grown(self._alive_P, number + 1)
        self._text_P = _grown(self._text_P, number + 1)
        self._vector_RD[self._rows : stop] = list(rows.values())
        self._row_R[self._rows : stop] = list(rows)
        self._start_P[number], self._rows = self._rows, stop
        self._alive_P[number], self._text_P[number] = True, not facts.pictures
        self._facts.append(facts)
        self._number_of[facts.product_id] = number
        if not self._keys.issuperset(facts.attributes):
            self._keys = self._keys.union(facts.attributes)

    def _compact(self) -> None:
        """Leave those that are dead behind, in arrays of their own: older views keep theirs."""
        view = self._seen()
        fresh = Table(self._vector_RD.shape[1])
        for product_id, number in view.number_of.items():
            stop = view.start_P[number + 1] if number + 1 < view.count else self._rows
            span = slice(view.start_P[number], stop)
            rows = dict(zip(view.row_R[span].tolist(), view.rows(product_id), strict=True))
            fresh._add(view.facts[number], rows)
        fresh._hidden = self._hidden
        vars(self).update(vars(fresh))

    def _seen(self) -> View:
        products = len(self._facts)
        return View(
            self._vector_RD[: self._rows],
            self._row_R[: self._rows],
            self._start_P[:products],
            self._facts,
            self._alive_P[:products].copy(),
            self._text_P[:products],
            dict(self._number_of),
            self._hidden,
            self._keys,
        )


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The array, or a longer copy where `size` does not fit."""
    if size <= len(array):
        return array
    longer = np.zeros((max(size, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
