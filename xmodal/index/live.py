"""What a page shows of the products of an index and of those that changed since.

    Products, Facets (immutable) + Changes -> LiveProducts

Titles, attributes, prices and pictures only: no vectors, so a front without an index has it too.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from xmodal.catalog.changes import Change, Changes
from xmodal.errors import UnknownProduct
from xmodal.index.facets import Facets
from xmodal.index.products import Product, Products

NO_ROW = -1  # of a product that no catalogue holds yet


class LiveProducts:
    """The newest word on every product; safe to ask from several threads."""

    def __init__(
        self,
        products: Products,
        facets: Facets,
        changes: Changes,
        refresh: Callable[[], object] | None = None,
    ) -> None:
        """`refresh` takes in what is new, where somebody else follows `changes` too."""
        self.changes = changes
        self.refresh = refresh or changes.follow
        self.products = products
        """Those of the index, as it was built."""
        self._facets = facets
        self._rows: dict[str, int | None] = {}
        self._fields: tuple[int, Facets] | None = None
        self._counted: tuple[tuple[int, int], dict[str, dict[str, int]]] | None = None

    def is_fresh(self) -> bool:
        """Whether `refresh` would find nothing new."""
        return self.changes.is_fresh()

    @property
    def problem(self) -> str | None:
        """What of the journal could not be read; the rest of it counts."""
        damaged = list(self.changes.journal.damaged.values())
        if not damaged:
            return None
        places = ", ".join(f"{one.file} at {one.position}" for one in damaged[:3])
        return f"{len(damaged)} changes of products are damaged and left out: {places}"

    def change(self, product_id: str) -> Change | None:
        """The newest change of a product. Raises UnknownProduct where it was taken out."""
        change = self.changes.newest.get(product_id)
        if change is not None and change.facts is None:
            raise UnknownProduct(f"no product {product_id!r}")
        return change

    def __contains__(self, product_id: str) -> bool:
        change = self.changes.newest.get(product_id)
        return change.facts is not None if change else self._row(product_id) is not None

    def product(self, product_id: str) -> Product:
        """Everything about a product. Raises UnknownProduct."""
        change = self.change(product_id)
        if change is None or change.facts is None:
            return self.products.product(self.products.known_row(product_id))
        facts = change.facts
        attributes = dict(facts.attributes)
        shown = (facts.title, attributes, facts.description, facts.price, facts.url)
        return Product(NO_ROW, product_id, *shown)

    def titles(self) -> list[str]:
        """Titles of the products that were put in."""
        newest = list(self.changes.newest.values())
        return [change.facts.title for change in newest if change.facts is not None]

    def facets(self, most: int) -> dict[str, dict[str, int]]:
        """Attributes of at most `most` values, and how many products have each."""
        state = (self.changes.end, most)
        if self._counted is None or self._counted[0] != state:
            self._counted = (state, self._count(most))
        return self._counted[1]

    def fields(self) -> Facets:
        """The values that any product has, those of changed products behind the index's own."""
        if self._fields is None or self._fields[0] != self.changes.end:
            self._fields = (self.changes.end, self._facets.with_values(self._new_values()))
        return self._fields[1]

    def _new_values(self) -> dict[str, list[str]]:
        new: dict[str, dict[str, None]] = {}
        for change in list(self.changes.newest.values()):
            for key, value in (change.facts.attributes if change.facts else {}).items():
                if value not in self._facets.values.get(key, ()):
                    new.setdefault(key, {})[value] = None
        return {key: list(values) for key, values in new.items()}

    def _count(self, most: int) -> dict[str, dict[str, int]]:
        newest = list(self.changes.newest.values())
        few = [key for key in self._facets.keys if len(self._facets.values[key]) <= most]
        counts = {key: Counter(self._facets.counts(key)) for key in few}
        rows = [row for change in newest if (row := self._row(change.product_id)) is not None]
        for key, value in self._values_of(few, rows):
            counts[key][value] -= 1
        crowded = set(self._facets.keys) - set(few)
        for change in newest:
            for key, value in (change.facts.attributes if change.facts else {}).items():
                if key not in crowded:
                    counts.setdefault(key, Counter())[value] += 1
        held = {key: {v: n for v, n in found.items() if n > 0} for key, found in counts.items()}
        return {key: found for key, found in held.items() if 0 < len(found) <= most}

    def _values_of(self, keys: Iterable[str], rows: list[int]) -> Iterable[tuple[str, str]]:
        """Key and value of each attribute that the index's products in `rows` have."""
        for key in keys:
            values = list(self._facets.values[key])
            codes = self._facets.codes[self._facets.keys.index(key), rows]
            yield from ((key, values[code]) for code in codes.tolist() if code >= 0)

    def _row(self, product_id: str) -> int | None:
        """Row of the index's product, looked up once for each that changed."""
        if product_id not in self._rows:
            row = self.products.row_of(product_id)
            if product_id not in self.changes.newest:
                return row
            self._rows[product_id] = row
        return self._rows[product_id]
