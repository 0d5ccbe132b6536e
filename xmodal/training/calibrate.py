"""Calibration: what a score is worth, fitted on `val` queries after everything else.

    val queries -> answers as the service gives them -> logistic: is this hit relevant?
    the same, their kind of product hidden           -> logistic: is anything relevant?
    train captions                                   -> how near are val queries to them?
                                                     -> threshold at the stated false alarm rate

Every figure, and the threshold, is of queries that the weights were not fitted on (cross-fitted).

Shapes: Q queries, K hits, N events, F features.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import floor

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.store import Catalog
from xmodal.matcher.calibration import (
    PAGE,
    Calibration,
    Familiar,
    Floats,
    Scale,
    answer_features,
    hit_features,
    nearness,
)
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.reranker import Reranker
from xmodal.retrieval.answers import Scored, score_answers
from xmodal.retrieval.embed import FeatureStore, embed_texts
from xmodal.retrieval.foreign import Case, find_classes, foreign_words, make_cases
from xmodal.retrieval.trial import Trial
from xmodal.settings import Settings
from xmodal.training.fusion import unseen
from xmodal.training.held_out import sample_queries

MOST_QUERIES = 500  # each is answered twice: about ten seconds
FOLDS = 5
_FEWEST = 20  # queries; fewer cannot tell a probability
_RIDGE = 1.0  # of standardised weights: a normal prior of unit spread
_STEPS = 50
_CAPTIONS = 1_000  # 0.5 kB each in the saved matcher

Numbers = NDArray[np.float64]


def calibrate(
    encoder: Encoder,
    reranker: Reranker,
    catalog: Catalog,
    store: FeatureStore,
    settings: Settings,
) -> Calibration | None:
    """What this matcher's scores are worth; None where `val` has too few queries to tell."""
    limit = min(MOST_QUERIES, settings.evaluation.max_queries)
    queries = sample_queries(catalog.judged("val").queries, limit, settings.seed)
    texts, right, learnt = unseen(catalog, queries)
    if len(texts) < _FEWEST:
        return None
    familiar = _familiar(encoder, catalog, texts, settings.seed)
    classes, foreign = find_classes(catalog, store), foreign_words(catalog)
    rate = settings.evaluation.false_alarm_rate
    scales: dict[str, Scale] = {}
    figures: dict[str, float] = {}
    for name, second in (("first", None), ("reranked", reranker)):
        answer = partial(score_answers, encoder, second, store, depth=settings.serve.rerank_depth)
        cases = make_cases(answer, texts, right, classes, learnt)
        others = answer(foreign, [right[0][:0]] * len(foreign))
        temperature = float(encoder.log_scale.detach().exp())
        scale, trial = fit_scale(
            cases, others, familiar, rate, temperature=temperature, seed=settings.seed
        )
        scales[name], seen = scale, trial.figures(scale.threshold)
        figures |= {f"{name}/{key}": value for key, value in seen.items()}
    return Calibration(
        scales["first"], scales["reranked"], familiar, rate, figures, curves=trial.curves()
    )


def fit_scale(
    cases: Sequence[Case],
    foreign: Sequence[Scored],
    familiar: Callable[[Floats], float],
    rate: float,
    *,
    temperature: float,
    seed: int,
) -> tuple[Scale, Trial]:
    """The scale of one kind of answer, and its trial on queries that it has not seen.

    `foreign` answers are never fitted on. `temperature` is the matcher's own, for what it says
    of its candidates without a calibration.
    """
    fold_Q = np.random.default_rng(seed).permutation(len(cases)) % FOLDS
    trial = Trial()
    for fold in range(FOLDS):
        scale = _fit([case for case, f in zip(cases, fold_Q, strict=True) if f != fold])
        held_out = [case for case, f in zip(cases, fold_Q, strict=True) if f == fold]
        trial.add(scale, familiar, held_out, foreign[fold::FOLDS], temperature)
    return replace(_fit(cases), threshold=conformal_threshold(trial.answerable, rate)), trial


def conformal_threshold(evidence: Sequence[float], rate: float) -> float | None:
    """The largest threshold below which at most `rate` of queries like these fall.

    Of n exchangeable queries and a new one, the new one's evidence is among the k - 1 smallest of
    all with chance at most k / (n + 1). None where n is too small for any such k.

    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], 0.2), conformal_threshold([0.1], 0.2)
    (0.1, None)

    Source: split conformal prediction; Angelopoulos and Bates, arXiv 2107.07511, section 1.
    """
    k = floor(rate * (len(evidence) + 1) + 1e-9)
    return float(np.sort(evidence)[k - 1]) if k else None


def _fit(cases: Sequence[Case]) -> Scale:
    hits = [hit_features(one.found.score_K, one.found.first_K)[:PAGE] for one in cases]
    right_N = np.concatenate([one.right_K[:PAGE] for one in cases])
    hit = _logistic(np.concatenate(hits), right_N)
    if hit[1] < 0:  # scores that say nothing: probabilities must not fall as they rise
        rest = [x.copy() for x in hits]
        for x in rest:
            x[:, 0] = 0.0
        hit = _logistic(np.concatenate(rest), right_N)
    pairs = [(one.found, one.without) for one in cases if one.without is not None]
    shown = [pair for pair in pairs if len(pair[1].product_K)]
    weights_F = np.array([1.0, 0.0, 0.0, 0.0])  # without kinds to hide: the best score alone
    if shown:
        answers = [answer_features(one.score_K, one.first_K) for pair in shown for one in pair]
        weights_F = np.array(_logistic(np.stack(answers), np.tile([True, False], len(shown)))[1:])
    able = np.stack([answer_features(one.found.score_K, one.found.first_K) for one in cases])
    mean, spread = _mean_and_spread(able @ weights_F)
    return Scale(hit, (-mean / spread, *(weights_F / spread).tolist()), None)


def _familiar(encoder: Encoder, catalog: Catalog, texts: Sequence[str], seed: int) -> Familiar:
    """A sample of the train captions, and how near `texts` are to it."""
    captions = sorted(set(catalog.pairs("train")["text"].to_pylist()))
    drawn = np.random.default_rng(seed).permutation(len(captions))[:_CAPTIONS]
    # As they will be read: in float16.
    kept_ND = embed_texts(encoder, [captions[row] for row in drawn]).astype(np.float16)
    caption_ND = kept_ND.astype(np.float32)
    near = [nearness(vector_D, caption_ND) for vector_D in embed_texts(encoder, texts)]
    return Familiar(*_mean_and_spread(near), caption_ND)


def _mean_and_spread(values: Sequence[float] | Numbers) -> tuple[float, float]:
    return float(np.mean(values)), max(float(np.std(values)), 1e-6)


def _logistic(x_NF: Numbers, event_N: NDArray[np.bool_]) -> tuple[float, ...]:
    """Bias and weights of a logistic regression, by Newton's method.

    The targets are Platt's, which no sample can push to certainty, and a ridge holds the
    standardised weights.

    Source: Platt 1999, section 2.2; Lin, Lin and Weng 2007.
    """
    yes = float(event_N.sum())
    no = len(event_N) - yes
    target_N = np.where(event_N, (yes + 1) / (yes + 2), 1 / (no + 2))
    mean_F, spread_F = x_NF.mean(0), np.maximum(x_NF.std(0), 1e-6)
    z_NF = np.column_stack([np.ones(len(x_NF)), (x_NF - mean_F) / spread_F])
    ridge_F = np.full(z_NF.shape[1], _RIDGE)
    ridge_F[0] = 1e-6
    w_F = np.zeros(z_NF.shape[1])
    for _ in range(_STEPS):
        p_N = 1 / (1 + np.exp(-z_NF @ w_F))
        slope_F = z_NF.T @ (p_N - target_N) + ridge_F * w_F
        bend_FF = (z_NF.T * (p_N * (1 - p_N))) @ z_NF + np.diag(ridge_F)
        step_F = np.linalg.solve(bend_FF, slope_F)
        w_F -= step_F
        if float(np.abs(step_F).max()) < 1e-8:
            break
    weights_F = w_F[1:] / spread_F
    return (float(w_F[0] - weights_F @ mean_F), *(float(w) for w in weights_F))
