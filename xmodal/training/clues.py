"""What tasks beside retrieval learn from: attribute values, groups, and who names a group.

    catalogue's attributes of train products -> build_clues -> .npy files -> take, a batch at a time

Shapes: P train products, A attributes, U texts of the text store, B pairs.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.errors import SettingsError
from xmodal.settings import TrainingSettings
from xmodal.training.captions import Ints, PairTable
from xmodal.training.losses.contract import Clues

CLUES = "clues"  # their folder, in that of the pair table
MOST_ATTRIBUTES = 5
MOST_VALUES = 200
_LEAST_REPEATS = 4  # products a value on average: a serial number teaches nothing
Attributes = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class ClueTable:
    """Clues by row of the pair table and by row of the text store."""

    value_PA: Ints  # from 1; 0: the product lacks the attribute
    group_P: Ints  # from 1; 0: none
    is_neutral_U: NDArray[np.bool_]  # the text names no group

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each attribute has."""
        return tuple(self.value_PA.max(axis=0).tolist())

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group_P.max())

    def take(self, product_B: Ints, text_B: Ints) -> Clues:
        """Clues of B pairs: a row of the pair table and a row of the text store each."""
        return Clues(
            torch.from_numpy(self.value_PA[product_B]),
            torch.from_numpy(self.group_P[product_B]),
            torch.from_numpy(self.is_neutral_U[text_B]),
        )

    def save(self, folder: Path) -> None:
        """Write one `.npy` a field into `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))


def open_clues(folder: Path) -> ClueTable:
    """Open what `ClueTable.save` left, memory-mapped."""
    return ClueTable(
        **{f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(ClueTable)}
    )


def needs_clues(recipe: TrainingSettings) -> bool:
    """Whether anything of the recipe learns from clues."""
    return "attributes" in recipe.tasks or bool(recipe.bias_share)


def write_clues(
    folder: Path,
    catalog: Catalog,
    made: tuple[pa.Table, PairTable, Sequence[str]],
    recipe: TrainingSettings,
) -> dict[str, str]:
    """Leave in `folder` what the recipe learns from; returns what was chosen, for the summary.

    Args:
        made: the train pairs, the table made of them, and all texts of the text store.

    Raises:
        SettingsError: the train products have no attributes that fit.
    """
    if not needs_clues(recipe):
        return {}
    pairs, table, texts = made
    column = catalog.products(["attributes"])["attributes"].combine_chunks()
    products = [dict(row or ()) for row in column.take(pa.array(table.product_P)).to_pylist()]
    names = choose_attributes(products) if "attributes" in recipe.tasks else []
    bias = recipe.bias_attribute if recipe.bias_share else None
    facts: dict[str, set[str]] = defaultdict(set)
    for text, stated in zip(pairs["text"].to_pylist(), pairs["facts"].to_pylist(), strict=True):
        facts[text] |= set(stated or ())
    terms = catalog.glossary().get(bias or "", {})
    clues = build_clues(products, names, bias, texts=texts, facts=facts, terms=terms)
    clues.save(folder)
    told = [f"{name} ({size})" for name, size in zip(names, clues.sizes, strict=True)]
    found = {"attributes": f"{', '.join(told)} values are told from pictures"} if told else {}
    if bias is not None:
        neutral = int(clues.is_neutral_U.sum())
        found["bias"] = f"{clues.groups} groups; {neutral:,} of {len(texts):,} texts name none"
    return found


def build_clues(
    products: Attributes,
    names: Sequence[str],
    bias_attribute: str | None,
    *,
    texts: Sequence[str],
    facts: Mapping[str, Iterable[str]],
    terms: Mapping[str, str],
) -> ClueTable:
    """Number the values of the train products.

    Args:
        products: attributes of each row of the pair table.
        names: the attributes that are told from pictures, of `choose_attributes`.
        facts: `key=value` that a text is known to state, by text.
        terms: the shop's Chinese terms of the bias attribute's values.

    Raises:
        SettingsError: fewer than two groups, as no train product has `bias_attribute`.
    """
    value_PA = np.zeros((len(products), len(names)), dtype=np.int64)
    for column, name in enumerate(names):
        value_PA[:, column] = _numbers(products, name)
    if bias_attribute is None:
        none_P = np.zeros(len(products), dtype=np.int64)
        return ClueTable(value_PA, none_P, np.ones(len(texts), dtype=np.bool_))
    group_P = _numbers(products, bias_attribute)
    if group_P.max() < 2:
        known = sorted({name for attributes in products for name in attributes})
        raise SettingsError(
            f"training.bias_attribute={bias_attribute!r} has no two values among the products "
            f"of train; their attributes are {', '.join(known) or 'none'}"
        )
    namer = _namer(products, bias_attribute, terms)
    stated = f"{bias_attribute}="
    is_neutral_U = [
        not (namer(text) or any(fact.startswith(stated) for fact in facts.get(text, ())))
        for text in texts
    ]
    return ClueTable(value_PA, group_P, np.array(is_neutral_U, dtype=np.bool_))


def choose_attributes(products: Attributes) -> list[str]:
    """At most 5 attributes of 2 to 200 values, those that most products have, most first.

    Raises:
        SettingsError: there is none.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for attributes in products:
        for name, value in attributes.items():
            if value:
                counts[name][value] += 1
    fit = [
        name
        for name, values in counts.items()
        if 2 <= len(values) <= MOST_VALUES and values.total() >= _LEAST_REPEATS * len(values)
    ]
    if not fit:
        raise SettingsError(
            f"training.tasks has `attributes`, and no attribute of train has 2 to {MOST_VALUES} "
            f"values that {_LEAST_REPEATS} products share on average; take it out"
        )
    return sorted(fit, key=lambda name: (-counts[name].total(), name))[:MOST_ATTRIBUTES]


def _numbers(products: Attributes, name: str) -> Ints:
    """Number of each product's value, the most frequent 1; 0 for none and for rarer than 200th."""
    counts = Counter(attributes.get(name) or "" for attributes in products)
    del counts[""]
    ranked = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES]
    number = {value: rank for rank, value in enumerate(ranked, start=1)}
    return np.array([number.get(row.get(name) or "", 0) for row in products], dtype=np.int64)


def _namer(products: Attributes, name: str, terms: Mapping[str, str]) -> "_Namer":
    values = {attributes.get(name) or "" for attributes in products}
    # A value such as `-` has no word that a text could hold.
    said = {words for value in values if (words := _words(value)).strip()}
    return _Namer(said, set(terms.values()))


@dataclass(frozen=True)
class _Namer:
    """Tells whether a text holds a value as whole words, whatever their case, or a Chinese term."""

    values: set[str]
    terms: set[str]

    def __call__(self, text: str) -> bool:
        words = _words(text)
        return any(v in words for v in self.values) or any(term in text for term in self.terms)


def _words(text: str) -> str:
    """The words in lower case, a space around each: so that `men` is not found in `women`."""
    return " ".join(["", *re.findall(r"\w+", text.casefold()), ""])
