"""Colour, gender and season of products and queries, recognised by content.

A column counts as colours when most of its values are names of colours, whatever the shop calls
it. Values are those of `catalog/terms.py`, with the shop's glossary for Chinese.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from xmodal.catalog.store import Catalog
from xmodal.catalog.terms import ALL, Terms, stated

_MOSTLY = 0.5  # of a column's values, by products
_ANY = {"multicoloured", "unisex"}  # a product of these shows whatever was asked for


@dataclass(frozen=True)
class Facet:
    """One of colour, gender and season, as a shop's products have it."""

    name: str
    terms: Terms
    values_of: Mapping[str, frozenset[str]]  # product id to its values; only where it has any

    def named(self, text: str) -> tuple[str, ...]:
        """The values that a text states."""
        return stated(text, self.terms)

    def violates(self, product: str, named: Collection[str]) -> bool | None:
        """Whether the product has none of the values; None where it has no value at all."""
        values = self.values_of.get(product)
        if values is None:
            return None
        return not (values & _ANY or values & set(named))

    def share(self, products: Collection[str], named: Collection[str]) -> float | None:
        """Share of the products with a value that violate; None where none has a value."""
        found = [self.violates(product, named) for product in products]
        known = [one for one in found if one is not None]
        return sum(known) / len(known) if known else None

    def chance(self, named: Collection[str]) -> float:
        """Share of all products with a value that violate: what a random answer would do."""
        wanted = _ANY | set(named)
        fitting = sum(n for values, n in self._counts.items() if values & wanted)
        return 1 - fitting / max(self._counts.total(), 1)

    def having(self, value: str) -> int:
        """Number of products that have the value."""
        return sum(n for values, n in self._counts.items() if value in values)

    @cached_property
    def _counts(self) -> Counter[frozenset[str]]:
        return Counter(self.values_of.values())


def read_facets(catalog: Catalog, shown: Collection[str]) -> list[Facet]:
    """The facets that the shop's products have, of the `shown` ones."""
    glossary = catalog.glossary()
    columns: dict[str, Counter[str]] = defaultdict(Counter)
    attributes_of: dict[str, Mapping[str, str]] = {}
    for row in catalog.rows(["product_id", "attributes"]):
        if row["product_id"] in shown:
            attributes_of[row["product_id"]] = row["attributes"] or {}
            for name, value in attributes_of[row["product_id"]].items():
                columns[name][value] += 1
    found = []
    for name, terms in ALL.items():
        mine = [column for column, values in columns.items() if _is_of(values, terms)]
        words = _with_glossary(terms, {column: glossary.get(column, {}) for column in mine})
        known = {value: stated(value, words) for column in mine for value in columns[column]}
        values_of = {
            product: values
            for product, attributes in attributes_of.items()
            if (values := frozenset(_values(attributes, mine, known)))
        }
        if values_of:
            found.append(Facet(name, words, values_of))
    return found


def _is_of(values: Counter[str], terms: Terms) -> bool:
    """Whether most values are names of the facet as a whole: `Navy Blue`, not `white dial`."""
    words = {word for some in terms.values() for word in some}
    whole = sum(n for value, n in values.items() if value.strip().casefold() in words)
    return whole >= _MOSTLY * values.total() > 0


def _with_glossary(terms: Terms, glossary: Mapping[str, Mapping[str, str]]) -> Terms:
    """The terms, and the glossary's words for values that they read as one."""
    taken = {word for some in terms.values() for word in some}
    added: dict[str, list[str]] = defaultdict(list)
    for values in glossary.values():
        for value, word in values.items():
            meant = stated(value, terms)
            if len(meant) == 1 and word not in taken:
                added[meant[0]].append(word)
                taken.add(word)
    return {value: (*words, *added[value]) for value, words in terms.items()}


def _values(
    attributes: Mapping[str, str], columns: Collection[str], known: Mapping[str, tuple[str, ...]]
) -> list[str]:
    return [value for column in columns for value in known.get(attributes.get(column, ""), ())]
