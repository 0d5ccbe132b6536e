"""What a filter may ask of one attribute, and which of its values grant that.

    any of   ("red", "blue")             the value is one of these
    none of  NoneOf(("red",))            it is none of these; a product without the attribute passes
    range    Range(gte=10.0, lt=50.0)    it is a number within; one without a number does not pass

Shapes: V values of an attribute, P products.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import FilterError, RequestError

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class NoneOf:
    """Values that a product must not have."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Range:
    """Bounds of a number; None is open."""

    gte: float | None = None
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None

    def holds(self, number_N: Numbers) -> Mask:
        """Which numbers lie within, (N,). NaN never does."""
        inside_N = ~np.isnan(number_N)
        for bound, holds in (
            (self.gte, np.greater_equal),
            (self.gt, np.greater),
            (self.lte, np.less_equal),
            (self.lt, np.less),
        ):
            if bound is not None:
                inside_N &= holds(number_N, bound)
        return inside_N


Condition = tuple[str, ...] | NoneOf | Range


def number_of(text: str) -> float:
    """The finite number that `text` writes plainly (`12`, `-0.5`, `1e3`), else NaN."""
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def day_of(text: str) -> float:
    """The day that an ISO date or time writes (`2026-05-31`, `2026-05-31T10:00:00Z`), else NaN.

    In days since the year 1; times are cut to their day.
    """
    try:
        return float(date.fromisoformat(text[:10]).toordinal()) if "-" in text else math.nan
    except ValueError:
        return math.nan


def granting(values: Mapping[str, int], condition: Condition, number_V: Numbers) -> Mask:
    """Which codes pass, bool (V + 1,): one for each value, and last for products without any.

    Args:
        values: of the attribute, with their codes.
        number_V: what `number_of` makes of them; read for a range alone.
    """
    if isinstance(condition, Range):
        return np.append(condition.holds(number_V), False)
    is_negative = isinstance(condition, NoneOf)
    named = condition.values if isinstance(condition, NoneOf) else condition
    passes = np.full(len(values) + 1, is_negative, dtype=np.bool_)
    passes[[values[value] for value in named if value in values]] = not is_negative
    return passes


def unknown_attribute(name: str, known: Sequence[str]) -> FilterError:
    """The error for an attribute that no product has: the near ones first, then all."""
    near = difflib.get_close_matches(name, known, n=2)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    all_known = ", ".join(known) or "none"
    return FilterError(f"unknown attribute {name!r};{hint} this catalogue has: {all_known}")


def no_numbers(name: str) -> RequestError:
    """The error for a range over what holds no numbers."""
    return RequestError(
        f"no product has a number as {name!r}; name its values instead of a range",
        "filter",
        "not_a_number",
    )
