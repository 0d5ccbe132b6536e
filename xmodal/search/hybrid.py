"""Do words help beside the vectors? Fitted and judged on `val`, kind of query by kind.

Trial (MRR@10 by each way to fuse) -> the best way, cross-fitted -> Worth, in the index's facts
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xmodal.catalog.store import Catalog
from xmodal.evaluation.significance import compare, holm
from xmodal.fingerprint import of_bytes
from xmodal.index.lexical import Lexical
from xmodal.index.version import Index
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker
from xmodal.search.fusion import Fusion, Worth
from xmodal.search.questions import ask
from xmodal.search.trial import Trial, Values, Words

ALPHA = 0.05
ALONE = Fusion("weights", 0.0)
WAYS = (ALONE, Fusion("rrf"), *(Fusion("weights", step / 20) for step in range(1, 19)))


def measure_hybrid(
    index: Index, encoder: Encoder, catalog: Catalog, reranker: Reranker | None = None
) -> dict[str, dict[str, Any]]:
    """What `IndexFacts.hybrid` says of `index`; empty without words or questions.

    Words are on where three things agree: the gain by titles is more than chance, the other kinds
    being tried too; the way that was fitted on them is better by all indexed words as well; and,
    for answers that are reranked, their gain is more than chance.
    """
    if index.words is None:
        return {}
    titles = index.products.column("title", range(index.products.count))
    words = Words(index.words, Lexical.of_texts(titles))
    found = {
        kind: _measured(Trial(index, words, encoder, asked), reranker)
        for kind, asked in ask(catalog, index).items()
    }
    first = [worth.p_value for worth in found.values()]
    second = [worth.reranked_p_value for worth in found.values()]
    corrected = holm([*first, *second])
    p_values = zip(corrected[: len(first)], corrected[len(first) :], strict=True)
    return {
        kind: decided(worth, *pair).as_json()
        for (kind, worth), pair in zip(found.items(), p_values, strict=True)
    }


def judge(values: Mapping[Fusion, Values]) -> Worth:
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
    found = compare(fused, values[ALONE])
    way = _best(values, queries)
    return Worth(
        method=way.method,
        share=way.share,
        queries=found.queries,
        vectors=round(found.theirs, 4),
        fused=round(found.ours, 4),
        gain=round(found.difference, 4),
        low=round(found.low, 4),
        high=round(found.high, 4),
        p_value=found.p_value,
    )


def decided(worth: Worth, p_value: float, reranked_p_value: float) -> Worth:
    """On or off, with the p-values as all tries together have them."""
    is_way = worth.fusion != ALONE and worth.served_gain > 0
    return replace(
        worth,
        p_value=round(p_value, 5),
        reranked_p_value=round(reranked_p_value, 5),
        is_on=is_way and worth.gain > 0 and p_value < ALPHA,
        is_on_reranked=is_way and worth.reranked_gain > 0 and reranked_p_value < ALPHA,
    )


def _measured(trial: Trial, reranker: Reranker | None) -> Worth:
    worth = judge({way: trial.fused(way) for way in WAYS})
    if worth.fusion == ALONE:
        return worth
    served = compare(trial.served(worth.fusion), trial.served(ALONE))
    worth = replace(worth, served_gain=round(served.difference, 4))
    if reranker is None:
        return worth
    found = compare(trial.reranked(worth.fusion, reranker), trial.reranked(ALONE, reranker))
    return replace(worth, reranked_gain=round(found.difference, 4), reranked_p_value=found.p_value)


def _best(values: Mapping[Fusion, Values], queries: Sequence[str]) -> Fusion:
    """The way with the highest mean; of equal ones the first, which is the plainest."""
    means = [np.mean([values[way][query] for query in queries] or [0.0]) for way in WAYS]
    return WAYS[int(np.argmax(np.round(means, 9)))]
