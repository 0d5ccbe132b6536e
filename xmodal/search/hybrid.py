"""Do words help beside the vectors? Fitted and judged on `val`, kind of query by kind.

    questions -> vectors, BM25 -> Evidence -> each way of fusing -> MRR@10 -> Worth (in the facts)

Shapes: P products, D embedding size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xmodal.catalog.store import Catalog
from xmodal.evaluation.significance import Comparison, compare, holm
from xmodal.fingerprint import of_bytes
from xmodal.index.lexical import Lexical
from xmodal.index.version import Index
from xmodal.matcher.encoder import Encoder
from xmodal.retrieval.embed import embed_texts
from xmodal.retrieval.metrics import Qrels, Run, per_query
from xmodal.search.evidence import Evidence, gather
from xmodal.search.fusion import Fusion, Worth
from xmodal.search.questions import Questions, ask

METRIC = "mrr@10"
ALPHA = 0.05
ALONE = Fusion("weights", 0.0)
WAYS = (ALONE, Fusion("rrf"), *(Fusion("weights", step / 20) for step in range(1, 19)))
_PAGE = 10

PerWay = Mapping[Fusion, Mapping[str, float]]  # way to query to MRR@10


def measure_hybrid(index: Index, encoder: Encoder, catalog: Catalog) -> dict[str, dict[str, Any]]:
    """What `IndexFacts.hybrid` says of `index`; empty without words or questions."""
    if index.words is None:
        return {}
    questions = ask(catalog, index)
    titles = None
    if any(one.titles_only for one in questions.values()):
        rows = range(index.products.count)
        titles = Lexical.of_texts(index.products.column("title", rows))
    judged = {}
    for kind, asked in questions.items():
        words = titles if asked.titles_only else index.words
        if words is not None:
            judged[kind] = judge(_all_ways(index, words, encoder, asked))
    corrected = holm([worth.p_value for worth in judged.values()])
    return {
        kind: _decided(worth, p_value).as_json()
        for (kind, worth), p_value in zip(judged.items(), corrected, strict=True)
    }


def judge(values: PerWay) -> Worth:
    """The best way to fuse, and its gain over the vectors alone; not yet decided.

    Cross-fitted: the way is chosen on one half of the queries and judged on the other, so that
    choosing gains nothing by chance. What is served is the way chosen on all of them.
    """
    queries = sorted(values[ALONE], key=lambda query: of_bytes(query.encode()))
    halves = queries[::2], queries[1::2]
    fused: dict[str, float] = {}
    for fitted_on, judged_on in (halves, halves[::-1]):
        way = _best(values, fitted_on)
        fused |= {query: values[way][query] for query in judged_on}
    found: Comparison = compare(fused, values[ALONE])
    way = _best(values, queries)
    return Worth(
        is_on=way != ALONE,
        method=way.method,
        share=way.share,
        queries=found.queries,
        vectors=round(found.theirs, 4),
        fused=round(found.ours, 4),
        gain=round(found.difference, 4),
        low=round(found.low, 4),
        high=round(found.high, 4),
        p_value=round(found.p_value, 5),
    )


def _decided(worth: Worth, p_value: float) -> Worth:
    """On where the gain is more than chance, the other kinds being tried too."""
    is_on = worth.is_on and worth.gain > 0 and p_value < ALPHA
    return replace(worth, p_value=round(p_value, 5), is_on=is_on)


def _best(values: PerWay, queries: Sequence[str]) -> Fusion:
    """The way with the highest mean; of equal ones the first, which is the plainest."""
    means = [np.mean([values[way][query] for query in queries] or [0.0]) for way in WAYS]
    return WAYS[int(np.argmax(np.round(means, 9)))]


def _all_ways(index: Index, words: Lexical, encoder: Encoder, asked: Questions) -> PerWay:
    """MRR@10 of each query by each way to fuse."""
    texts = list(asked.texts.values())
    vector_QD = embed_texts(encoder, texts)
    evidence = {
        query: gather(index, vector_D, words.scores(text), _PAGE)
        for (query, text), vector_D in zip(asked.texts.items(), vector_QD, strict=True)
    }
    ids = {
        query: index.products.column("product_id", one.hits.product_rows)
        for query, one in evidence.items()
    }
    return {way: _judged(way, evidence, ids, asked.qrels) for way in WAYS}


def _judged(
    way: Fusion, evidence: Mapping[str, Evidence], ids: Mapping[str, list[str]], qrels: Qrels
) -> Mapping[str, float]:
    run: Run = {}
    for query, one in evidence.items():
        order, _ = one.fused(way)
        # By place, so that ties are read as they are served.
        run[query] = {ids[query][row]: -float(rank) for rank, row in enumerate(order[:_PAGE])}
    return per_query(run, qrels, ks=(1,))[METRIC]
