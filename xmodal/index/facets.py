"""Attribute filters: which products carry the asked-for values, exactly.

A filter maps an attribute to a condition (filters.py); several attributes must all agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xmodal.errors import RequestError
from xmodal.index.filters import (
    Condition,
    NoneOf,
    Numbers,
    Range,
    day_of,
    granting,
    no_numbers,
    number_of,
    unknown_attribute,
)
from xmodal.index.layout import FACET_VALUES, FACETS, PRODUCTS
from xmodal.storage import read_json, write_json_atomic

MOST_VALUES = 1000  # of a facet
PRICE = "price"  # in a range: the product's own, not an attribute of that name
Filter = tuple[tuple[str, Condition], ...]


def as_filter(wanted: Mapping[str, str | Sequence[str] | NoneOf | Range] | None) -> Filter:
    """The hashable form of `{"category": "Shoes", "colour": ["Red", "Pink"]}`."""
    found: dict[str, Condition] = {}
    for key, given in (wanted or {}).items():
        if isinstance(given, NoneOf | Range):
            found[key] = given
        else:
            found[key] = (given,) if isinstance(given, str) else tuple(given)
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


@dataclass(frozen=True)
class Facets:
    """Value codes of each attribute, int32 (keys, products), -1 where a product has none."""

    codes: NDArray[np.int32]
    values: dict[str, dict[str, int]]
    folder: Path | None = None
    """Of the index version, where prices lie."""
    _days: dict[str, Numbers] = field(default_factory=dict, compare=False)
    _numbers: dict[str, Numbers] = field(default_factory=dict, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "Facets":
        """Memory-map the facets of an index version."""
        values: Any = read_json(folder / FACET_VALUES)
        codes = np.load(folder / FACETS, mmap_mode="r")
        return cls(
            codes,
            {key: {value: code for code, value in enumerate(seen)} for key, seen in values.items()},
            folder,
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Attributes that a filter may name."""
        return tuple(self.values)

    @cached_property
    def price_P(self) -> Numbers:
        """Prices (P,), NaN where a product has none; read when first asked for."""
        if self.folder is None:
            return np.full(self.codes.shape[1], np.nan)
        reader = pa.ipc.open_file(pa.memory_map(str(self.folder / PRODUCTS)))
        prices = reader.read_all()[PRICE]
        return np.asarray(prices.to_numpy(), dtype=np.float64)

    def numbers(self, key: str) -> Numbers:
        """What the values (V,) of an attribute are as numbers; NaN for one that is none."""
        if key not in self._numbers:
            self._numbers[key] = np.array([number_of(value) for value in self.values[key]])
        return self._numbers[key]

    def days(self, key: str) -> Numbers:
        """What the values (V,) of an attribute are as dates; NaN for one that is none."""
        if key not in self._days:
            self._days[key] = np.array([day_of(value) for value in self.values[key]])
        return self._days[key]

    def with_values(self, more: Mapping[str, Sequence[str]]) -> "Facets":
        """The same with more values, which none of its products has; itself without any."""
        if not more:
            return self
        values = dict(self.values)
        for key, new in more.items():
            known = [*values.get(key, ()), *new]
            values[key] = {value: code for code, value in enumerate(known)}
        return Facets(self.codes, values, self.folder)

    def counts(self, key: str, passed: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """Number of products of each value of `key`, of all or of those that `passed` (P,).

        Raises FilterError for an unknown attribute.
        """
        row = self.codes[self._place(key)]
        row = row if passed is None else row[passed]
        counted = np.bincount(row[row >= 0], minlength=len(self.values[key]))
        return {value: int(counted[code]) for value, code in self.values[key].items()}

    def mask(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which products pass, bool (products,).

        Raises FilterError for an unknown attribute, RequestError for a range without numbers.
        """
        passed = np.ones(self.codes.shape[1], dtype=bool)
        for key, condition in wanted:
            passed &= self._passing(key, condition)
        return passed

    def check(self, wanted: Filter) -> None:
        """Raises as `mask`, which it spares."""
        for key, condition in wanted:
            is_range = isinstance(condition, Range)
            if not (is_range and key == PRICE):
                self._place(key)
            if is_range and np.isnan(self.price_P if key == PRICE else self.numbers(key)).all():
                raise no_numbers(key)

    def _passing(self, key: str, condition: Condition) -> NDArray[np.bool_]:
        self.check(((key, condition),))
        if isinstance(condition, Range) and key == PRICE:
            return condition.holds(self.price_P)
        code_P = self.codes[self._place(key)]
        number_V = self.numbers(key) if isinstance(condition, Range) else np.empty(0)
        # A product without the attribute has code -1: the last of the table.
        return np.asarray(granting(self.values[key], condition, number_V)[code_P])

    def _place(self, key: str) -> int:
        if key not in self.values:
            raise unknown_attribute(key, self.keys)
        return self.keys.index(key)


def facet_counts(
    facets: Facets, attributes: Sequence[str], wanted: Filter
) -> dict[str, dict[str, int]]:
    """Values that products which pass have, the most frequent first, and of how many.

    Raises FilterError for an unknown attribute, RequestError for one of too many values.
    """
    passed = facets.mask(wanted) if wanted else None
    found = {}
    for name in attributes:
        found[name] = shown_counts(name, facets.counts(name, passed))
    return found


def shown_counts(name: str, counted: Mapping[str, int]) -> dict[str, int]:
    """Values that any product has, the most frequent first. Raises RequestError for too many."""
    if len(counted) > MOST_VALUES:
        message = f"{name!r} has {len(counted):,} values, a facet at most {MOST_VALUES:,}"
        raise RequestError(message, "facets", "too_large")
    there = [(value, count) for value, count in counted.items() if count]
    return dict(sorted(there, key=lambda pair: (-pair[1], pair[0])))


def write_facets(folder: Path, attributes: Sequence[Mapping[str, str]]) -> None:
    """Write the facets of all products, given in row order."""
    keys = sorted({key for row in attributes for key in row})
    codes = np.full((len(keys), len(attributes)), -1, dtype=np.int32)
    seen: dict[str, dict[str, int]] = {key: {} for key in keys}
    place = {key: number for number, key in enumerate(keys)}
    for row, pairs in enumerate(attributes):
        for key, value in pairs.items():
            codes[place[key], row] = seen[key].setdefault(value, len(seen[key]))
    np.save(folder / FACETS, codes)
    write_json_atomic(folder / FACET_VALUES, {key: list(values) for key, values in seen.items()})


class MaskCache:
    """The bitmaps of the last filters over vector rows, packed as FAISS reads them."""

    def __init__(self, facets: Facets, product_row_N: NDArray[np.int64], size: int = 64) -> None:
        # Not a method of this object: a cycle would keep a closed index in memory.
        self.bitmap = lru_cache(maxsize=size)(partial(_bitmap, facets, product_row_N))


def _bitmap(
    facets: Facets, product_row_N: NDArray[np.int64], wanted: Filter
) -> tuple[NDArray[np.uint8], int]:
    """One bit per vector row, little-endian, and the number of products that pass."""
    mask = facets.mask(wanted)
    return np.packbits(mask[product_row_N], bitorder="little"), int(mask.sum())
