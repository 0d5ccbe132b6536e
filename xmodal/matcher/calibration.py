"""What a score is worth: how probably a hit is relevant, and whether anything fits at all.

    scores of an answer -> logistic -> the probability of each hit
    scores of an answer -> logistic -+
    nearness to train captions ------+-> evidence of a match; below the threshold: no good match

Fitted on `val` by training/calibrate.py and saved beside the reranker; it changes no order.

Shapes: K hits of an answer, F features, N captions, D embedding.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import MatcherError

Floats = NDArray[np.float32]
Features = NDArray[np.float64]
Curves = Mapping[str, Sequence[tuple[float, float]]]
PAGE = 10  # hits that the features of an answer look at
FILE, CAPTIONS = "calibration.json", "captions.npy"
_NEAREST = 10  # captions


@dataclass(frozen=True)
class Scale:
    """What scores of one kind of answer are worth."""

    hit: tuple[float, ...]
    """Bias and weights of `hit_features`, for the log odds of relevance."""
    match: tuple[float, ...]
    """Bias and weights of `answer_features`: evidence that anything fits, in spreads of the
    answerable queries' around their mean."""
    threshold: float | None
    """Evidence below it is no good match; None: too few queries to say, so nothing is."""

    def probabilities(self, score_K: Floats, first_K: Floats) -> Features:
        """How probably each hit is relevant, (K,); falls with the score."""
        log_odds_K = self.hit[0] + hit_features(score_K, first_K) @ np.array(self.hit[1:])
        return np.asarray(1 / (1 + np.exp(-log_odds_K)))

    def evidence(self, score_K: Floats, first_K: Floats, familiar: float) -> float:
        """How much speaks for a match; without any hit nothing does.

        The weaker of two: what the answer looks like, and how `familiar` the query is. A hit can
        look good by chance, and a familiar query can ask for what is not there.
        """
        if not len(score_K):
            return float("-inf")
        found = self.match[0] + answer_features(score_K, first_K) @ np.array(self.match[1:])
        return min(float(found), familiar)

    def is_no_match(self, score_K: Floats, first_K: Floats, familiar: float) -> bool:
        """Whether the answer holds no good match."""
        evidence = self.evidence(score_K, first_K, familiar)
        return self.threshold is not None and evidence < self.threshold


@dataclass(frozen=True)
class Familiar:
    """How near a query is to what the matcher has learnt to talk about.

    Source: the distance to the nearest neighbours tells what is out of distribution; Sun et al.,
    arXiv 2204.06507.
    """

    mean: float
    spread: float
    """Of the nearness of `val` queries."""
    caption_ND: Floats = field(compare=False)
    """Unit vectors of train captions."""

    def __call__(self, vector_D: Floats) -> float:
        """The query's nearness, in spreads from the mean of `val` queries."""
        return (nearness(vector_D, self.caption_ND) - self.mean) / self.spread


@dataclass(frozen=True)
class Calibration:
    """The scales of a matcher: of its first stage's answers and of reranked ones."""

    first: Scale
    reranked: Scale | None
    familiar: Familiar
    false_alarm_rate: float
    """At most this share of queries like those of `val` is said to have no good match."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """How it did on `val` queries that it was not fitted on: answer/name to value."""
    curves: Curves = field(default_factory=dict)
    """There, of the best answers: said against seen, before and after."""

    def rows(self) -> dict[str, str]:
        """For a job's table."""
        return {name: f"{value:.4g}" for name, value in self.figures.items()}

    def save(self, folder: Path) -> None:
        """Write to `folder`, which is made: JSON, and the captions' vectors in float16."""
        folder.mkdir(parents=True, exist_ok=True)
        document = asdict(self)
        del document["familiar"]["caption_ND"]
        (folder / FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")
        np.save(folder / CAPTIONS, self.familiar.caption_ND.astype(np.float16))

    @classmethod
    def load(cls, folder: Path) -> "Calibration":
        """Read what `save` wrote. Raises MatcherError where a file is missing or damaged."""
        try:
            document = json.loads((folder / FILE).read_text(encoding="utf-8"))
            captions = np.load(folder / CAPTIONS, allow_pickle=False).astype(np.float32)
            parts = {
                "first": _scale(document["first"]),
                "reranked": document["reranked"] and _scale(document["reranked"]),
                "familiar": Familiar(**document["familiar"], caption_ND=captions),
            }
            return cls(**document | parts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MatcherError(
                f"{folder}: cannot read the calibration ({error}); copy the matcher folder again"
            ) from error


def nearness(vector_D: Floats, caption_ND: Floats) -> float:
    """Mean cosine of a query and the captions nearest to it; 0 without captions."""
    if not len(caption_ND):
        return 0.0
    cosine_N = caption_ND @ vector_D
    nearest = min(_NEAREST, len(cosine_N))
    return float(np.partition(cosine_N, -nearest)[-nearest:].mean())


def answer_features(score_K: Floats, first_K: Floats) -> Features:
    """Of an answer, (F,): best score and mean of the first page, of the order and of the cosines.

    A best hit that hardly stands out of its page is no find: how far it does predicts whether a
    query can be answered.

    Source: query performance prediction; WIG, Zhou and Croft, SIGIR 2007; NQC, Shtok et al.,
    TOIS 2012.
    """
    best = [np.sort(values_K)[::-1][:PAGE] for values_K in (score_K, first_K)]
    return np.array([x for top in best for x in (top[0], top.mean())], dtype=np.float64)


def hit_features(score_K: Floats, first_K: Floats) -> Features:
    """Of each hit, (K, 1 + F): its score, then those of its answer."""
    if not len(score_K):
        return np.zeros((0, 5))
    answer_KF = np.tile(answer_features(score_K, first_K), (len(score_K), 1))
    return np.column_stack([np.asarray(score_K, dtype=np.float64), answer_KF])


def _scale(document: dict[str, Any]) -> Scale:
    hit, match = tuple(document["hit"]), tuple(document["match"])
    return Scale(hit, match, document["threshold"])
