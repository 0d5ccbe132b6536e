"""xmodal/retrieval/metrics.py: by hand, by the peer library, and by the public scorer's rules."""

import doctest
from math import log2

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, R, nDCG

from xmodal.retrieval import metrics
from xmodal.retrieval.metrics import means, per_query, ranked

PEERS = {
    "recall@1": R @ 1,
    "recall@5": R @ 5,
    "recall@10": R @ 10,
    "mrr@10": RR @ 10,
    "ndcg@10": nDCG @ 10,
    "map": AP,
}


def random_case(seed, queries=40, products=60, scores=8):
    """A run full of ties, and graded judgements of some products that the run lacks."""
    draw = np.random.default_rng(seed)
    names = [f"p{i:03d}" for i in range(products)]
    run, qrels = {}, {}
    for q in range(queries):
        answer = draw.choice(names, size=draw.integers(1, products), replace=False)
        run[f"q{q}"] = {str(p): float(draw.integers(scores)) / 4 for p in answer}
        judged = draw.choice(names, size=draw.integers(1, 9), replace=False)
        qrels[f"q{q}"] = {str(p): int(draw.integers(1, 4)) for p in judged}
    return run, qrels


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PEERS)
def test_every_metric_is_that_of_ir_measures(seed, name):
    run, qrels = random_case(seed)
    peer = {m.query_id: m.value for m in ir_measures.iter_calc([PEERS[name]], qrels, untied(run))}
    assert per_query(run, qrels)[name] == pytest.approx(peer)


def untied(run):
    """The peer breaks ties its own way (trec_eval: higher id first): give it our order in ranks."""
    return {
        query: {p: float(-rank) for rank, p in enumerate(sorted(a, key=lambda p: (-a[p], p)))}
        for query, a in run.items()
    }


def test_a_tie_goes_to_the_lower_product_id():
    assert ranked({"b": 0.5, "a": 0.5, "c": 0.9}) == ["c", "a", "b"]


def test_gains_are_the_grades():
    table = per_query({"q": {"a": 2.0, "b": 1.0}}, {"q": {"a": 1, "b": 3}})
    assert table["ndcg@10"]["q"] == pytest.approx((1 + 3 / log2(3)) / (3 + 1 / log2(3)))


def test_a_missing_query_counts_as_an_empty_answer():
    table = per_query({"q": {"a": 1.0}}, {"q": {"a": 1}, "lost": {"a": 1}})
    assert means(table)["recall@10"] == 0.5
    assert table["rank"] == {"q": 1.0, "lost": 11.0}


def test_a_query_without_a_relevant_product_is_left_out():
    assert per_query({"q": {"a": 1.0}}, {"q": {"a": 0}})["map"] == {}


def test_of_ranks_the_median_is_taken():
    run = {f"q{i}": {"x": 3.0, "y": 2.0, "z": 1.0} for i in range(3)}
    table = per_query(run, {"q0": {"x": 1}, "q1": {"y": 1}, "q2": {"z": 1}})
    assert means(table)["median_rank"] == 2.0


def test_no_query_gives_zeros():
    assert set(means(per_query({}, {})).values()) == {0.0}


def test_the_worked_example_holds():
    assert doctest.testmod(metrics).failed == 0
