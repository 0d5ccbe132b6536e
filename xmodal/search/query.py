"""What flows along the request path, and what each stage must be able to do.

    Query -> [Encoder] -> Encoded -> [Retriever] -> Candidates -> [Reranker] -> logits -> Answer

Everything here crosses a process border in the spread topology: plain values and numpy arrays.
Shapes: K candidates, D embedding size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xmodal.index.facets import Filter
from xmodal.index.version import Kind
from xmodal.search.rules import Ruling
from xmodal.search.wishes import Boost, Order, Part, Place


@dataclass(frozen=True)
class Query:
    """A question: a text, an encoded picture, or both.

    `rerank` None means: yes if there is a text. A picture alone is never reranked: it has no words
    to rerank by, and finds its own product first. Of `parts`, `text` holds what the reranker reads
    (`compose.spoken`).
    """

    text: str | None = None
    image: bytes | None = None
    limit: int = 10
    wanted: Filter = ()
    rerank: bool | None = None
    parts: tuple[Part, ...] = ()
    """Texts whose weighted sum is searched for; empty: `text` alone."""
    history: tuple[str, ...] = ()
    """Products looked at, whose mean the vector is bent toward."""
    history_weight: float = 0.3
    candidates: int | None = None
    """How many are reranked and re-ordered; None: as many as the searcher is set to."""
    order: Order = field(default_factory=Order)
    place: Place | None = None
    """Where to read on; None: from the first page."""
    explain: bool = False
    hybrid: bool | None = None
    """Whether words count beside the vector; None: where it was measured to help."""
    rules: Ruling = field(default_factory=Ruling)

    @property
    def kind(self) -> Kind:
        """What the vector is made of."""
        if (self.text or self.parts) and self.image:
            return "both"
        return "text" if self.text or self.parts else "image"

    @property
    def is_plain(self) -> bool:
        """Whether it is one text and no more: what scores are calibrated on."""
        return self.kind == "text" and not self.parts and not self.history

    @property
    def wants_rerank(self) -> bool:
        """Whether the third stage is asked."""
        return bool(self.text) and self.rerank is not False


@dataclass(frozen=True)
class Related:
    """A wish for products near to others, which are left out themselves."""

    weights: Mapping[str, float]
    """Product id to its say in where to look; a negative one leads away from that product."""
    limit: int = 10
    wanted: Filter = ()
    excluded: frozenset[str] = frozenset()
    """Products that are not to be shown either."""
    diversity: float = 0.0
    """0: the nearest; towards 1: those unlike the ones before them."""
    rules: Ruling = field(default_factory=Ruling)
    """Of which those that hide hold."""


@dataclass(frozen=True)
class Encoded:
    """The query as a unit vector (D,); of a text also what the reranker reads, by name."""

    vector_D: NDArray[np.float32]
    features: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class Extra:
    """What is found beside the nearest, however far it is: the best by words, products by id."""

    text: str | None = None
    product_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """Products best first, with what an answer shows of them. `attributes` are JSON texts."""

    vector_rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    product_ids: Sequence[str]
    titles: Sequence[str]
    attributes: Sequence[str]
    prices: Sequence[float | None] = ()
    words: NDArray[np.float32] | None = None
    """BM25 of each, where a text was to be found by its words."""
    near: int | None = None
    """How many are the nearest; behind them stand those that were found as `Extra`. None: all."""

    @property
    def nearest(self) -> int:
        """How many are the nearest."""
        return len(self) if self.near is None else self.near

    def __len__(self) -> int:
        return len(self.product_ids)

    def first(self, count: int) -> "Candidates":
        """The best `count` of them."""
        return self.at(range(min(count, len(self))))

    def at(self, places: Sequence[int], scores: NDArray[np.float32] | None = None) -> "Candidates":
        """Those at `places`, in that order, with new scores where given (in the new order)."""
        chosen = list(places)
        return Candidates(
            self.vector_rows[chosen],
            self.scores[chosen] if scores is None else scores,
            [self.product_ids[place] for place in chosen],
            [self.titles[place] for place in chosen],
            [self.attributes[place] for place in chosen],
            [self.prices[place] for place in chosen] if self.prices else (),
            None if self.words is None else self.words[chosen],
        )


@dataclass(frozen=True)
class Reranked:
    """A logit for each candidate, higher is better, and how long the model ran for its batch."""

    logits_K: NDArray[np.float32]
    run_s: float
    """Without the wait for its turn, which says nothing of what a candidate costs."""


@dataclass(frozen=True)
class Why:
    """How a hit came to its score."""

    first_stage: float
    rerank: float | None
    boosts: Sequence[Boost] = ()
    decay: float = 0.0
    """What its age took off."""


@dataclass(frozen=True)
class Hit:
    """One product of an answer."""

    product_id: str
    score: float
    title: str
    attributes: Mapping[str, str]
    probability: float | None = None
    """That it is relevant; None where the release cannot say, or no plain text was asked with."""
    collapsed: int | None = None
    """Others of its group among the candidates; None where nothing is collapsed."""
    why: Why | None = None


@dataclass(frozen=True)
class Answer:
    """Hits best first; what was left out for lack of time; milliseconds by stage.

    `score` is the reranker's logit where the answer was reranked, else the cosine of the query
    and the product's best picture: comparable within one answer, not between answers.
    """

    hits: Sequence[Hit]
    degraded: Sequence[str]
    took_ms: Mapping[str, float]
    no_good_match: bool = False
    """Whether nothing in the catalogue seems to be what the text asks for."""
    place: Place | None = None
    """Where the next page begins; None where this is the last."""
    rules: Sequence[str] = ()
    """Ids of the rules that were applied."""


class QueryEncoder(Protocol):
    """The first stage. `deadline_s`, here and below, is on the clock of `time.time()`."""

    async def encode(self, query: Query, deadline_s: float) -> Encoded:
        """The query as a vector."""


class Retriever(Protocol):
    """The second stage."""

    async def retrieve(
        self,
        vector_D: NDArray[np.float32],
        k: int,
        wanted: Filter,
        kind: Kind,
        deadline_s: float,
        *,
        extra: Extra | None = None,
    ) -> Candidates:
        """The k best products by the first stage, and what `extra` finds behind them."""

    async def vectors(self, product_ids: Sequence[str], deadline_s: float) -> NDArray[np.float32]:
        """The stored vectors (N, D) of products: of each the unit mean of its pictures'."""

    async def counts(
        self, attributes: Sequence[str], wanted: Filter, deadline_s: float
    ) -> Mapping[str, Mapping[str, int]]:
        """How many of all products that pass `wanted` have each value of each attribute."""


class Reranker(Protocol):
    """The third stage; a release may lack it."""

    async def rerank(self, encoded: Encoded, candidates: Candidates, deadline_s: float) -> Reranked:
        """What it makes of the candidates, in their order."""
