"""Retrieval metrics: per query first, means second.

A run is `{query_id: {product_id: score}}`, qrels are `{query_id: {product_id: grade}}`; a product
is relevant if its grade is above 0. Ties: the higher score first, then the lower product_id.
A query that the run lacks counts as an empty answer; one without any relevant product is left out.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]
PerQuery = dict[str, dict[str, float]]  # metric to query_id to value

RANK = "rank"
MEDIAN_RANK = "median_rank"
LINEAR = (0.0, 1.0, 2.0, 3.0)  # the gain of each grade, as trec_eval
_DEPTH = 10  # of MRR@10 and nDCG@10


def per_query(
    run: Run, qrels: Qrels, ks: Sequence[int] = (1, 5, 10), *, gains: Sequence[float] = LINEAR
) -> PerQuery:
    """Each metric of each judged query; `gains` holds the gain of each grade from 0.

    - `recall@k`: share of the relevant products among the first k.
    - `mrr@10`: one over the rank of the first relevant product, 0 beyond ten.
    - `ndcg@10`: by `gains`, discount log2(rank + 1).
    - `map`: mean over the relevant products of the precision at their rank, 0 if not in the run.
    - `rank`: of the first relevant product, from 1; one past the longest answer if there is none.

    For judgements with holes, where a product that nobody judged may well be relevant:

    - `judged@k`: share of the first k that were judged, as relevant or not.
    - `condensed_ndcg@10`: of the answer without its unjudged products (Sakai, SIGIR 2007).
    - `bpref`: mean over the relevant products of 1 less the share of judged irrelevant ones above
      (Buckley and Voorhees, SIGIR 2004, as trec_eval); 1 if found, where none is judged irrelevant.

    >>> run = {"red shoe": {"a": 0.9, "b": 0.8, "c": 0.8}, "bag": {"a": 0.2, "c": 0.1}}
    >>> qrels = {"red shoe": {"b": 1, "d": 1}, "bag": {"c": 1}}
    >>> found = per_query(run, qrels, ks=(1, 2))
    >>> found["recall@2"]
    {'red shoe': 0.5, 'bag': 1.0}
    >>> found["mrr@10"], found["rank"]
    ({'red shoe': 0.5, 'bag': 0.5}, {'red shoe': 2.0, 'bag': 2.0})
    """
    longest = max((len(answer) for answer in run.values()), default=0)
    lost = float(max(longest, *ks, _DEPTH) + 1)
    table: PerQuery = {name: {} for name in _names(ks)}
    for query, grades in qrels.items():
        if any(grade > 0 for grade in grades.values()):
            found = _values(ranked(run.get(query, {})), grades, ks, gains)
            for name, value in ({RANK: lost} | found).items():
                table[name][query] = value
    return table


def _values(
    products: list[str], grades: Mapping[str, int], ks: Sequence[int], gains: Sequence[float]
) -> dict[str, float]:
    """Each metric of one answer; without RANK where nothing relevant was found."""
    relevant = {product: grade for product, grade in grades.items() if grade > 0}
    hits = [rank for rank, product in enumerate(products, 1) if product in relevant]
    known = [product for product in products if product in grades]
    found = {f"recall@{k}": sum(rank <= k for rank in hits) / len(relevant) for k in ks}
    for k in ks:
        shown = products[:k]
        found[f"judged@{k}"] = sum(p in grades for p in shown) / max(len(shown), 1)
    found[f"mrr@{_DEPTH}"] = 1 / hits[0] if hits and hits[0] <= _DEPTH else 0.0
    found[f"ndcg@{_DEPTH}"] = ndcg(products, relevant, gains)
    found[f"condensed_ndcg@{_DEPTH}"] = ndcg(known, relevant, gains)
    found["map"] = sum(n / rank for n, rank in enumerate(hits, 1)) / len(relevant)
    found["bpref"] = _bpref(known, grades)
    return found | ({RANK: float(hits[0])} if hits else {})


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


def without(run: Run, products: Mapping[str, Collection[str]]) -> Run:
    """Each answer without the `products` of its query."""
    return {
        query: {p: score for p, score in answer.items() if p not in products.get(query, ())}
        for query, answer in run.items()
    }


def ndcg(
    products: Sequence[str],
    grades: Mapping[str, int],
    gains: Sequence[float] = LINEAR,
    depth: int | None = _DEPTH,
) -> float:
    """nDCG of one answer, best first; `depth` None: of all of it. 0 where nothing has a gain.

    Source: Järvelin and Kekäläinen, TOIS 2002, with the discount log2(rank + 1) from rank 1.
    """
    best = _dcg(sorted((gains[grade] for grade in grades.values()), reverse=True)[:depth])
    found = _dcg([gains[grades.get(product, 0)] for product in products[:depth]])
    return found / best if best > 0 else 0.0


def recall_curve(run: Run, qrels: Qrels, depth: int = 100) -> list[float]:
    """Mean recall@k over the judged queries for k = 1 to `depth`; zeros without any query."""
    found, queries = [0.0] * depth, 0
    for query, grades in qrels.items():
        relevant = {product for product, grade in grades.items() if grade > 0}
        if not relevant:
            continue
        queries += 1
        for place, product in enumerate(ranked(run.get(query, {}))[:depth]):
            if product in relevant:
                found[place] += 1 / len(relevant)
    return [min(1.0, total / max(queries, 1)) for total in accumulate(found)]


def _names(ks: Sequence[int]) -> list[str]:
    ten = [f"mrr@{_DEPTH}", f"ndcg@{_DEPTH}"]
    holes = [*(f"judged@{k}" for k in ks), f"condensed_ndcg@{_DEPTH}", "bpref"]
    return [*(f"recall@{k}" for k in ks), *ten, "map", RANK, *holes]


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _bpref(known: Sequence[str], grades: Mapping[str, int]) -> float:
    """Of an answer's judged products, best first."""
    relevant = sum(grade > 0 for grade in grades.values())
    most = min(relevant, len(grades) - relevant)
    above, total = 0, 0.0
    for product in known:
        if grades[product] > 0:
            total += 1 - (min(above, relevant) / most if above else 0.0)
        else:
            above += 1
    return total / relevant
