"""xmodal/registry/measure.py: which queries a release is judged by."""

from xmodal.registry.measure import MOST_QUERIES, sample

QUERIES = {f"query {number}": f"text {number}" for number in range(2 * MOST_QUERIES)}


def test_few_queries_are_all_taken():
    few = {"b": "bag", "a": "shoe"}
    assert sample(few) == few


def test_the_sample_stays_where_a_few_queries_come_and_go():
    before = sample(QUERIES)
    fewer = {name: text for name, text in QUERIES.items() if name not in list(before)[:10]}
    after = sample({**fewer, **{f"new {number}": "text" for number in range(10)}})
    assert len(before) == len(after) == MOST_QUERIES
    assert len(before.keys() & after.keys()) >= MOST_QUERIES - 25
