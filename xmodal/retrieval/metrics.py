"""Retrieval metrics: per query first, means second.

A run is `{query_id: {product_id: score}}`, qrels are `{query_id: {product_id: grade}}`; a product
is relevant if its grade is above 0. Ties: the higher score first, then the lower product_id.
A query that the run lacks counts as an empty answer; one without any relevant product is left out.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]
PerQuery = dict[str, dict[str, float]]  # metric to query_id to value

RANK = "rank"
MEDIAN_RANK = "median_rank"
_DEPTH = 10  # of MRR@10 and nDCG@10


def per_query(run: Run, qrels: Qrels, ks: Sequence[int] = (1, 5, 10)) -> PerQuery:
    """Each metric of each judged query: `recall@k`, `mrr@10`, `ndcg@10`, `map` and `rank`.

    - `recall@k`: share of the relevant products among the first k.
    - `mrr@10`: one over the rank of the first relevant product, 0 beyond ten.
    - `ndcg@10`: the gain of a product is its grade (linear, as trec_eval), discount log2(rank + 1).
    - `map`: mean over the relevant products of the precision at their rank, 0 if not in the run.
    - `rank`: of the first relevant product, from 1; one past the longest answer if there is none.

    >>> run = {"red shoe": {"a": 0.9, "b": 0.8, "c": 0.8}, "bag": {"a": 0.2, "c": 0.1}}
    >>> qrels = {"red shoe": {"b": 1, "d": 1}, "bag": {"c": 1}}
    >>> found = per_query(run, qrels, ks=(1, 2))
    >>> found["recall@2"]
    {'red shoe': 0.5, 'bag': 1.0}
    >>> found["mrr@10"], found["rank"]
    ({'red shoe': 0.5, 'bag': 0.5}, {'red shoe': 2.0, 'bag': 2.0})
    >>> means(found)["map"]  # (1/2 / 2 + 1/2) / 2
    0.375
    """
    longest = max((len(answer) for answer in run.values()), default=0)
    lost = float(max(longest, *ks, _DEPTH) + 1)
    names = [*(f"recall@{k}" for k in ks), f"mrr@{_DEPTH}", f"ndcg@{_DEPTH}", "map", RANK]
    table: PerQuery = {name: {} for name in names}
    for query, grades in qrels.items():
        relevant = {product: grade for product, grade in grades.items() if grade > 0}
        if not relevant:
            continue
        products = ranked(run.get(query, {}))
        hits = [rank for rank, product in enumerate(products, 1) if product in relevant]
        first = float(hits[0]) if hits else lost
        for k in ks:
            table[f"recall@{k}"][query] = sum(rank <= k for rank in hits) / len(relevant)
        table[f"mrr@{_DEPTH}"][query] = 1 / first if first <= _DEPTH else 0.0
        table[f"ndcg@{_DEPTH}"][query] = _ndcg(products[:_DEPTH], relevant)
        precision = sum(found / rank for found, rank in enumerate(hits, 1))
        table["map"][query] = precision / len(relevant)
        table[RANK][query] = first
    return table


def means(table: PerQuery) -> dict[str, float]:
    """Mean over the queries of each metric; of `rank` the median, as `median_rank`.

    Without any query every value is 0.
    """
    result = {
        name: math.fsum(values.values()) / max(len(values), 1)
        for name, values in table.items()
        if name != RANK
    }
    if RANK in table:
        ranks = table[RANK].values()
        result[MEDIAN_RANK] = float(statistics.median(ranks)) if ranks else 0.0
    return result


def ranked(answer: Mapping[str, float]) -> list[str]:
    """Product ids of one query's answer, best first."""
    return sorted(answer, key=lambda product: (-answer[product], product))


def cut(run: Run, depth: int) -> Run:
    """The `depth` best products of each answer: runs to be compared are of one depth."""
    return {query: {p: run[query][p] for p in ranked(run[query])[:depth]} for query in run}


def _ndcg(products: Sequence[str], relevant: Mapping[str, int]) -> float:
    ideal = sorted(relevant.values(), reverse=True)[:_DEPTH]
    gains = [relevant.get(product, 0) for product in products]
    return _dcg(gains) / _dcg(ideal)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
