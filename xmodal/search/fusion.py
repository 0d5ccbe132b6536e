"""Words beside vectors: how the two orders of a query's candidates become one.

    the nearest by vector + the best by words -> cosine and BM25 of each -> fused score

Whether they do is said by what was measured of the query's kind (hybrid.py), or by the request.
Shapes: K candidates, D embedding size.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.language import is_chinese
from xmodal.errors import IndexDamaged

Floats = NDArray[np.float32]
Kind = Literal["chinese", "mixed", "latin"]
KINDS: tuple[Kind, ...] = ("chinese", "mixed", "latin")
RRF_K = 60  # Cormack's own; the result hardly moves with it
POOL = 100  # candidates of either side


@dataclass(frozen=True)
class Fusion:
    """How cosines and word scores are joined."""

    method: Literal["rrf", "weights"] = "rrf"
    share: float = 0.0
    """Of the words in `weights`, 0 to 1."""

    def scores(self, cosine_K: Floats, words_K: Floats) -> Floats:
        """Fused scores (K,), higher is better; where no word is shared, the order of the cosines.

        Source: `rrf` is the sum of 1 / (60 + rank), Cormack, Clarke and Buettcher, SIGIR 2009;
        `weights` a convex sum of scores, each scaled from its theoretical least to the query's
        best: Bruch, Gai and Ingber, TOIS 2023 (arXiv 2210.11934), section 4.
        """
        if self.method == "rrf":
            said_K = (words_K > 0) / (RRF_K + _ranks(words_K))
            return np.asarray(1 / (RRF_K + _ranks(cosine_K)) + said_K, np.float32)
        near_K = (cosine_K + 1) / (cosine_K.max(initial=-1) + 1 + 1e-12)
        said_K = words_K / (words_K.max(initial=0) + 1e-12)
        return np.asarray((1 - self.share) * near_K + self.share * said_K, np.float32)


@dataclass(frozen=True)
class Worth:
    """What words add to the vectors for one kind of query, on `val` queries."""

    method: Literal["rrf", "weights"]
    share: float
    queries: int
    vectors: float
    """MRR@10 of the vectors alone."""
    fused: float
    """And with words, each half of the queries answered by what was fitted on the other."""
    gain: float
    low: float
    high: float
    """95 % interval of the gain."""
    p_value: float
    """Of all tries together, by Holm."""
    served_gain: float = 0.0
    """By all words that are indexed, with the way that was fitted."""
    reranked_gain: float = 0.0
    """Of answers that the matcher's reranker puts in order."""
    reranked_p_value: float = 1.0
    is_on: bool = False
    is_on_reranked: bool = False

    @property
    def fusion(self) -> Fusion:
        """The fitted way."""
        return Fusion(self.method, self.share)

    def as_json(self) -> dict[str, Any]:
        """What the facts of an index hold."""
        return asdict(self)


@dataclass(frozen=True)
class Hybrid:
    """What is known of an index's words, kind by kind."""

    measured: Mapping[str, Worth]

    @classmethod
    def of(cls, facts: Mapping[str, Mapping[str, Any]]) -> "Hybrid":
        """Read `IndexFacts.hybrid`. Raises IndexDamaged."""
        try:
            return cls({kind: Worth(**found) for kind, found in facts.items()})
        except TypeError as error:
            raise IndexDamaged(f"index.json: hybrid is unreadable ({error}); build anew") from error

    def choose(self, text: str, wish: bool | None, *, is_reranked: bool) -> Fusion | None:
        """How to fuse for `text`; None: vectors alone.

        Args:
            wish: what the request says; None: only where it was measured to help.
            is_reranked: whether the reranker puts the answer in order, which may need no words.
        """
        worth = self.measured.get(kind_of(text))
        if worth is None:
            return Fusion() if wish else None
        if wish:
            return worth.fusion if worth.share or worth.method == "rrf" else Fusion()
        helps = worth.is_on_reranked if is_reranked else worth.is_on
        return worth.fusion if wish is None and helps else None


def kind_of(text: str) -> Kind:
    """Which scripts a text is in, digits left aside.

    >>> kind_of("红色 2026"), kind_of("nike 跑鞋"), kind_of("red shoe")
    ('chinese', 'mixed', 'latin')
    """
    letters = [char for char in text if char.isalpha()]
    han = sum(map(is_chinese, letters))
    if not han:
        return "latin"
    return "chinese" if han == len(letters) else "mixed"


def _ranks(score_K: Floats) -> NDArray[np.int64]:
    """Places from 1, best first; equal scores share the best of theirs."""
    rising = np.sort(-score_K)
    return np.asarray(np.searchsorted(rising, -score_K, side="left") + 1, np.int64)
