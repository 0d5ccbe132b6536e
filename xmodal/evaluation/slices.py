"""Means over groups of queries: by language, and by attributes of the products they look for."""

from collections import Counter
from collections.abc import Mapping, Sequence

from xmodal.catalog.store import Catalog
from xmodal.evaluation.tasks import Task
from xmodal.retrieval.metrics import PerQuery, means

Slices = dict[str, dict[str, dict[str, float]]]  # group to value to metric (and "queries")

FEWEST = 20  # queries of a value: below, a mean says little
_MOST_VALUES = 12  # an attribute with more is no slice
_ATTRIBUTES = 2


def slice_means(table: PerQuery, groups: Mapping[str, Mapping[str, str]]) -> Slices:
    """Means of each value of each group that has at least FEWEST queries, the largest first.

    A group with fewer than two such values is left out: it would repeat the whole.
    """
    judged = set(next(iter(table.values()), {}))
    found: Slices = {}
    for group, value_of in groups.items():
        counts = Counter(value_of[query] for query in judged if value_of.get(query))
        values = [value for value, n in counts.most_common() if n >= FEWEST]
        if len(values) > 1:
            found[group] = {value: _means_of(table, value_of, value) for value in values}
    return found


def attribute_slices(catalog: Catalog, tasks: Sequence[Task]) -> dict[str, dict[str, str]]:
    """The two attributes that part the text queries best: query id to value, by attribute.

    A query has the value that most of its relevant products have. An attribute qualifies with 2
    to 12 values of at least FEWEST queries each; those that cover most queries win.
    """
    qrels = {q: g for task in tasks if task.name == "text-image" for q, g in task.qrels.items()}
    wanted = {product for grades in qrels.values() for product in grades}
    columns = catalog.products(["product_id", "attributes"]).to_pydict()
    attributes_of = {
        product: dict(attributes or ())
        for product, attributes in zip(*columns.values(), strict=True)
        if product in wanted
    }
    names = sorted({name for attributes in attributes_of.values() for name in attributes})
    found = {name: _values(name, qrels, attributes_of) for name in names}
    covered = {name: _covered(values) for name, values in found.items()}
    best = sorted((name for name in names if covered[name]), key=lambda n: (-covered[n], n))
    return {name: found[name] for name in best[:_ATTRIBUTES]}


def _means_of(table: PerQuery, value_of: Mapping[str, str], value: str) -> dict[str, float]:
    part = {
        metric: {query: x for query, x in values.items() if value_of.get(query) == value}
        for metric, values in table.items()
    }
    return {"queries": float(len(next(iter(part.values())))), **means(part)}


def _values(
    name: str,
    qrels: Mapping[str, Mapping[str, int]],
    attributes_of: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
    found = {}
    for query, grades in qrels.items():
        relevant = [product for product, grade in grades.items() if grade > 0]
        counts = Counter(attributes_of.get(product, {}).get(name) for product in relevant)
        counts.pop(None, None)
        if counts:
            found[query] = str(counts.most_common(1)[0][0])
    return found


def _covered(value_of: Mapping[str, str]) -> int:
    """Queries in large enough values; 0 where the attribute has too few or too many values."""
    counts = Counter(value_of.values())
    large = [n for n in counts.values() if n >= FEWEST]
    return sum(large) if len(large) > 1 and len(counts) <= _MOST_VALUES else 0
