"""Attribute filters: which products carry the asked-for values, exactly.

A filter maps an attribute to the values it may have; several attributes must all agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import FilterError
from xmodal.index.layout import FACET_VALUES, FACETS
from xmodal.storage import read_json, write_json_atomic

Filter = tuple[tuple[str, tuple[str, ...]], ...]


def as_filter(wanted: Mapping[str, str | Sequence[str]] | None) -> Filter:
    """The hashable form of `{"category": "Shoes", "colour": ["Red", "Pink"]}`."""
    pairs = (
        (key, (value,) if isinstance(value, str) else tuple(value))
        for key, value in (wanted or {}).items()
    )
    return tuple(sorted(pairs))


@dataclass(frozen=True)
class Facets:
    """Value codes of each attribute, int32 (keys, products), -1 where a product has none."""

    codes: NDArray[np.int32]
    values: dict[str, dict[str, int]]

    @classmethod
    def open(cls, folder: Path) -> "Facets":
        """Memory-map the facets of an index version."""
        values: Any = read_json(folder / FACET_VALUES)
        codes = np.load(folder / FACETS, mmap_mode="r")
        return cls(
            codes,
            {key: {value: code for code, value in enumerate(seen)} for key, seen in values.items()},
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Attributes that a filter may name."""
        return tuple(self.values)

    def counts(self, key: str) -> dict[str, int]:
        """Number of products of each value of `key`."""
        row = self.codes[self.keys.index(key)]
        counted = np.bincount(row[row >= 0], minlength=len(self.values[key]))
        return {value: int(counted[code]) for value, code in self.values[key].items()}

    def mask(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which products pass, bool (products,). Raises FilterError for an unknown attribute."""
        passed = np.ones(self.codes.shape[1], dtype=bool)
        for key, values in wanted:
            if key not in self.values:
                known = ", ".join(self.keys) or "none"
                raise FilterError(f"unknown attribute {key!r}; this catalogue has: {known}")
            codes = [self.values[key][value] for value in values if value in self.values[key]]
            passed &= np.isin(self.codes[self.keys.index(key)], codes)
        return passed


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
