"""xmodal/retrieval/metrics.py: by hand, by the peer library, and by the public scorer's rules."""

import doctest
from math import log2

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, Bpref, Judged, R, nDCG

from xmodal.retrieval import metrics
from xmodal.retrieval.metrics import LINEAR, means, ndcg, per_query, ranked, recall_curve

PEERS = {
    "recall@1": R @ 1,
    "recall@5": R @ 5,
    "recall@10": R @ 10,
    "mrr@10": RR @ 10,
    "ndcg@10": nDCG @ 10,
    "map": AP,
    "judged@1": Judged @ 1,
    "judged@10": Judged @ 10,
    "condensed_ndcg@10": nDCG(judged_only=True) @ 10,
    "bpref": Bpref,
}
ESCI_MEANT = (0, 0.01, 0.1, 1)


def random_case(seed, queries=40, products=60, scores=8):
    """A run full of ties, and judgements (0 to 3) with holes, of some products it lacks."""
    draw = np.random.default_rng(seed)
    names = [f"p{i:03d}" for i in range(products)]
    run, qrels = {}, {}
    for q in range(queries):
        answer = draw.choice(names, size=draw.integers(1, products), replace=False)
        run[f"q{q}"] = {str(p): float(draw.integers(scores)) / 4 for p in answer}
        judged = draw.choice(names, size=draw.integers(1, 9), replace=False)
        qrels[f"q{q}"] = {str(p): int(draw.integers(0, 4)) for p in judged}
        qrels[f"q{q}"][str(judged[0])] = 1  # something can be found
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


@pytest.mark.parametrize("seed", range(10))
def test_no_value_leaves_0_to_1_and_perfect_answers_reach_1(seed):
    run, qrels = random_case(seed, queries=12)
    best = {q: {p: float(grade) for p, grade in grades.items()} for q, grades in qrels.items()}
    for gains in (LINEAR, ESCI_MEANT, (0, 1, 3, 7)):
        table = per_query(run, qrels, gains=gains)
        values = [v for name in table if name != "rank" for v in table[name].values()]
        assert min(values) >= 0
        assert max(values) <= 1
        assert set(per_query(best, qrels, gains=gains)["ndcg@10"].values()) == {1.0}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_ties_come_moves_nothing(seed):
    run, qrels = random_case(seed, queries=12, scores=2)
    draw = np.random.default_rng(seed)
    mixed = {q: {p: a[p] for p in draw.permutation(sorted(a)).tolist()} for q, a in run.items()}
    assert per_query(mixed, qrels) == per_query(run, qrels)
    assert recall_curve(mixed, qrels) == recall_curve(run, qrels)


@pytest.mark.parametrize("gains", [ESCI_MEANT, (0, 0.1, 0.01, 1), (0, 1, 3, 7)])
def test_gains_are_those_of_ir_measures(gains):
    run, qrels = random_case(4)
    scale = [int(gain * 100) for gain in gains]
    peer = nDCG(gains=dict(enumerate(scale))) @ 10
    found = {m.query_id: m.value for m in ir_measures.iter_calc([peer], qrels, untied(run))}
    assert per_query(run, qrels, gains=gains)["ndcg@10"] == pytest.approx(found)


def test_the_recall_curve_passes_through_recall_at_k():
    run, qrels = random_case(7)
    curve, table = recall_curve(run, qrels), means(per_query(run, qrels))
    assert [curve[k - 1] for k in (1, 5, 10)] == pytest.approx(
        [table[f"recall@{k}"] for k in (1, 5, 10)]
    )
    assert curve == sorted(curve)
    assert recall_curve({}, {}, depth=2) == [0.0, 0.0]


def test_unjudged_products_do_not_count_in_a_condensed_list():
    run = {"q": {"x": 9.0, "y": 8.0, "a": 7.0, "b": 6.0}}
    table = per_query(run, {"q": {"a": 1, "b": 0}})
    assert table["ndcg@10"]["q"] == pytest.approx(0.5)
    assert table["condensed_ndcg@10"]["q"] == table["bpref"]["q"] == 1.0
    assert table["judged@5"]["q"] == 0.5


def test_a_query_whose_relevant_products_gain_nothing_is_0():
    assert ndcg(["a"], {"a": 1}, gains=(0, 0, 0, 1)) == 0.0


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
