"""Queries that a gallery cannot answer, made without a judge: to set and to try "no good match".

A judged query becomes one where every product of the kind that it asks for is hidden. Beside it
stand everyday words that the catalogue never uses.

Shapes: P products with a picture, D embedding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.matcher.words import words
from xmodal.retrieval.answers import Scored
from xmodal.retrieval.embed import FeatureStore
from xmodal.retrieval.topk import Floats, Ints

_MIN_SHARE = 0.5  # of the products that must have the attribute
_MAX_SHARE = 0.5  # that one value may have: what is hidden leaves a shop behind
_MIN_MEAN = 5  # products a value, in the mean: else it is a name, not a kind

_WORDS = (
    "chainsaw, mortgage advice, hydraulic pump, cat food, guitar strings, tax return, garden hose, "
    "printer ink, frozen pizza, car insurance, wedding photographer, stethoscope, snow tyres, "
    "dog kennel, fishing rod, violin lessons, solar panel, washing machine, aspirin, "
    "concrete mixer, train ticket, baby formula, microscope, lawn mower, fire extinguisher, "
    "espresso beans, brake pads, electric guitar, paracetamol, tomato seeds, router firmware, "
    "divorce lawyer, steak knives, smoke detector, aquarium filter, algebra textbook, "
    "diesel generator, crossword, whisky, wheelchair, "
    "电锯, 抵押贷款, 液压泵, 猫粮, 吉他弦, 报税, 打印机墨盒, 冷冻披萨, 汽车保险, 听诊器, "
    "雪地轮胎, 钓鱼竿, 太阳能板, 洗衣机, 阿司匹林, 火车票, 显微镜, 割草机, 灭火器, 咖啡豆"
)
WORDS = tuple(_WORDS.split(", "))
"""Things that most shops do not have, in both languages."""


@dataclass(frozen=True)
class Case:
    """A judged query: its answer, which of its hits are right, and its answer without its kind."""

    found: Scored
    right_K: NDArray[np.bool_]
    without: Scored | None


def make_cases(
    answer: Callable[[Sequence[str], Sequence[Ints]], list[Scored]],
    texts: Sequence[str],
    right: Sequence[Ints],
    classes: "Classes | None",
    gone: Sequence[Ints],
) -> list[Case]:
    """Each text answered with and without its kind of product.

    Args:
        answer: texts and the catalogue rows that each may not find, to answers.
        right: catalogue rows that each text asks for.
        gone: rows that no answer may hold, such as what was trained on.
    """
    hidden = [classes.hide(rows) if classes else rows[:0] for rows in right]
    found = answer(texts, gone)
    able = [place for place, rows in enumerate(hidden) if len(rows)]
    without = answer([texts[p] for p in able], [np.union1d(hidden[p], gone[p]) for p in able])
    other = dict(zip(able, without, strict=True))
    return [
        Case(one, np.isin(one.product_K, rows), other.get(place))
        for place, (one, rows) in enumerate(zip(found, right, strict=True))
    ]


@dataclass(frozen=True)
class Classes:
    """The attribute that says what kind of thing a product is."""

    attribute: str
    value_of: Sequence[str | None]  # by catalogue row

    def hide(self, relevant: Ints) -> Ints:
        """Rows of every product that is of a kind with any of `relevant`; none if that is unknown.

        Their kinds must be known: a product without one could be of any.
        """
        kinds = {self.value_of[row] for row in relevant.tolist()}
        if not kinds or None in kinds:
            return np.zeros(0, np.int64)
        return np.array([r for r, kind in enumerate(self.value_of) if kind in kinds], np.int64)


def find_classes(catalog: Catalog, store: FeatureStore) -> Classes | None:
    """The attribute whose values lie farthest apart in the pictures' vectors; None without one.

    By the share of the vectors' variance that lies between its values, adjusted for their number
    (adjusted R squared), so that many values win nothing by chance.
    """
    row_N, first_N = np.unique(np.asarray(store.product_row), return_index=True)
    vector_PD = store.take(first_N, ["vector"])["vector"].astype(np.float32)
    attributes = [
        dict(pairs or ()) for pairs in catalog.products(["attributes"])["attributes"].to_pylist()
    ]
    best, most = None, 0.0
    for name in sorted({name for one in attributes for name in one}):
        value_of = [one.get(name) or None for one in attributes]
        explained = _explained(vector_PD, [value_of[row] for row in row_N.tolist()])
        if explained > most:
            best, most = Classes(name, value_of), explained
    return best


def foreign_words(catalog: Catalog) -> list[str]:
    """Those of WORDS none of whose words stands in any title, attribute or description."""
    known = _words_of(catalog)
    return [text for text in WORDS if not known & set(words(text))]


def _words_of(catalog: Catalog) -> set[str]:
    known: set[str] = set()
    for column in ("title", "description"):
        for text in pc.unique(catalog.products([column])[column]).to_pylist():
            known.update(words(text or ""))
    pairs = {
        pair
        for one in catalog.products(["attributes"])["attributes"].to_pylist()
        for pair in one or ()
    }
    for name, value in pairs:
        known.update(words(f"{name} {value}"))
    return known


def _explained(vector_PD: Floats, values: Sequence[str | None]) -> float:
    """Adjusted R squared of the vectors by the values; 0 where they are no kinds."""
    has_P = np.array([value is not None for value in values])
    kinds, kind_P, count = np.unique(
        np.array([value or "" for value in values])[has_P], return_inverse=True, return_counts=True
    )
    n, k = int(has_P.sum()), len(kinds)
    if n < _MIN_SHARE * len(values) or k < 3 or n / k < _MIN_MEAN or count.max() > _MAX_SHARE * n:
        return 0.0
    centred_PD = vector_PD[has_P] - vector_PD[has_P].mean(0)
    sum_KD = np.zeros((k, vector_PD.shape[1]), np.float64)
    np.add.at(sum_KD, kind_P, centred_PD)
    total = float((centred_PD**2).sum())
    within = total - float((sum_KD**2 / count[:, None]).sum())
    return 1 - (within / (n - k)) / max(total / (n - 1), 1e-12)
