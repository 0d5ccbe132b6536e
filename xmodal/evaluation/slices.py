"""Means over groups of queries: each value of a group by itself, too small ones named as such."""

from collections.abc import Mapping, Sequence

from xmodal.retrieval.metrics import PerQuery, means

Slices = dict[str, dict[str, dict[str, float]]]  # group to value to metric (and "queries")

FEWEST = 20  # queries of a value: below, a mean says little
_MOST_VALUES = 12  # shown of a group; the rest is one value
OTHERS = "(all others)"


def slice_means(table: PerQuery, groups: Mapping[str, Mapping[str, str]]) -> Slices:
    """Means of each value of each group, the largest first.

    A value of fewer than FEWEST queries has its number of queries and no mean. A group without two
    values is left out: it would repeat the whole; so is one without any value large enough.
    """
    return {
        group: {value: _means_of(table, queries) for value, queries in values.items()}
        for group, values in gather(table, groups).items()
    }


def gather(
    table: PerQuery, groups: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, list[str]]]:
    """The queries of `table` by group and value, the largest value first.

    Of a group with many values the smaller ones are put together.
    """
    judged = sorted(next(iter(table.values()), {}))
    found = {}
    for group, value_of in groups.items():
        values: dict[str, list[str]] = {}
        for query in judged:
            if value_of.get(query):
                values.setdefault(value_of[query], []).append(query)
        order = sorted(values, key=lambda value: (-len(values[value]), value))
        if len(order) < 2 or len(values[order[0]]) < FEWEST:
            continue
        found[group] = {value: values[value] for value in order[:_MOST_VALUES]}
        if rest := [query for value in order[_MOST_VALUES:] for query in values[value]]:
            found[group][OTHERS] = rest
    return found


def _means_of(table: PerQuery, queries: Sequence[str]) -> dict[str, float]:
    size = {"queries": float(len(queries))}
    if len(queries) < FEWEST:
        return size
    part = {metric: {query: values[query] for query in queries} for metric, values in table.items()}
    return size | means(part)
