"""xmodal/evaluation/health.py: a slice that fell is named; one that fell by chance is not."""

from xmodal.evaluation.health import slices_that_fell

QUERIES = [f"q{n}" for n in range(80)]
GROUPS = {"lang": {query: "zh" if n % 2 else "en" for n, query in enumerate(QUERIES)}}


def fell(ours, theirs):
    return list(slices_that_fell("dev", ours, theirs, GROUPS))


def test_a_slice_that_fell_is_named_and_no_other():
    theirs = dict.fromkeys(QUERIES, 0.5)
    ours = {query: 0.2 if n % 2 else 0.7 for n, query in enumerate(QUERIES)}
    (finding,) = fell(ours, theirs)
    assert finding.name == "slice-fell"
    assert "lang = zh: mrr@10 fell from 0.500 to 0.200 on 40 queries" in finding.seen


def test_ups_and_downs_that_even_out_are_none():
    theirs = dict.fromkeys(QUERIES, 0.5)
    ours = {query: 0.5 + (0.1 if n % 4 < 2 else -0.1) for n, query in enumerate(QUERIES)}
    assert fell(ours, theirs) == []
