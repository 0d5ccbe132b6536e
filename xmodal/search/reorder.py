"""Candidates in another order than a model's: boosts, age, sorting; and one of each group.

Shapes: K candidates.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from xmodal.index.facets import PRICE
from xmodal.index.filters import day_of, number_of
from xmodal.search.query import Candidates
from xmodal.search.wishes import Boost, Decay, Order, Sort

Floats = NDArray[np.float32]
Attributes = Mapping[str, str]


def attributes_of(found: Candidates) -> list[Attributes]:
    """The attributes of candidates as maps."""
    return [json.loads(text) for text in found.attributes]


def rescored(found: Candidates, order: Order, today: date) -> Floats:
    """Scores (K,) with boosts added and the lead of the old halved."""
    score_K = found.scores.astype(np.float64)
    rows = attributes_of(found)
    score_K += [sum(boost.weight for boost in applied(order.boosts, row)) for row in rows]
    if order.decay is not None and len(score_K):
        factor_K = np.array([freshness(row, order.decay, today) for row in rows])
        score_K = score_K.min() + (score_K - score_K.min()) * factor_K
    return score_K.astype(np.float32)


def applied(boosts: Sequence[Boost], attributes: Attributes) -> list[Boost]:
    """The boosts that a product gets."""
    return [boost for boost in boosts if attributes.get(boost.field) == boost.value]


def freshness(attributes: Attributes, decay: Decay, today: date) -> float:
    """What a product's lead is multiplied by, 0 to 1; 1 without a date, or with one to come."""
    day = day_of(attributes.get(decay.field, ""))
    age_days = 0.0 if np.isnan(day) else max(0.0, today.toordinal() - day)
    return float(0.5 ** (age_days / decay.half_life_days))


def ordered(found: Candidates, score_K: Floats, sort: Sort | None) -> list[int]:
    """Places of the candidates, the first to be shown first; equal ones by score, then id.

    Sorted by a field, those without a number or a date in it come last, in either direction.
    """
    best_first = sorted(range(len(found)), key=lambda k: (-score_K[k], found.product_ids[k]))
    if sort is None:
        return best_first
    worth_K = _worth(found, sort.field) * (1 if sort.order == "asc" else -1)
    worth_K[np.isnan(worth_K)] = np.inf
    return sorted(best_first, key=lambda k: float(worth_K[k]))


def groups(found: Candidates, attribute: str) -> list[str]:
    """The group of each candidate; one without the attribute is a group of its own."""
    rows = zip(attributes_of(found), found.product_ids, strict=True)
    return [f"={row[attribute]}" if row.get(attribute) else f"#{name}" for row, name in rows]


def _worth(found: Candidates, field: str) -> NDArray[np.float64]:
    if field == PRICE:
        return np.array([np.nan if p is None else p for p in found.prices], dtype=np.float64)
    texts = [row.get(field, "") for row in attributes_of(found)]
    number_K = np.array([number_of(text) for text in texts])
    day_K = np.array([day_of(text) for text in texts])
    return np.where(np.isnan(number_K), day_K, number_K)
