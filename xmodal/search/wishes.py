"""What a query may wish beyond a text and a picture: parts, order, and where to read on.

Plain values, as all that crosses from stage to stage. Shapes: D embedding size, R candidates of
the head that are still to be shown, S shown before, X dropped.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Names = NDArray[np.uint64]


@dataclass(frozen=True)
class Part:
    """One text of a composed query; a negative weight leads away from it."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class Boost:
    """What a product's score gains where an attribute has this value."""

    field: str
    value: str
    weight: float


@dataclass(frozen=True)
class Decay:
    """A product's lead over the weakest candidate halves with each so many days of its age."""

    field: str
    half_life_days: float


@dataclass(frozen=True)
class Sort:
    """By the number or the date of a field instead of the score."""

    field: str
    order: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True)
class Order:
    """How the candidates are re-ordered and thinned out after they are scored."""

    boosts: tuple[Boost, ...] = ()
    decay: Decay | None = None
    sort: Sort | None = None
    collapse: str | None = None
    """An attribute, of each of whose values the best product alone is shown."""
    min_score: float | None = None
    """Least calibrated probability of a hit."""

    @property
    def is_new(self) -> bool:
        """Whether the candidates may stand in another order than that of their scores."""
        return bool(self.boosts or self.decay or self.sort)

    @property
    def thins(self) -> bool:
        """Whether candidates are left out: then all of the window must be looked at."""
        return self.collapse is not None or self.min_score is not None


@dataclass(frozen=True)
class Head:
    """The candidates that a model or an order has placed, best first; behind them comes the tail.

    The tail keeps the first stage's order, so it needs no record: a key says where it is read on.
    """

    name_R: Names
    """`name_of` their ids."""
    raw_R: Floats
    """The reranker's logits, or the cosines."""
    score_R: Floats
    """The same with boosts and decay."""
    probability_R: Floats
    """NaN where nothing can be said."""

    def __len__(self) -> int:
        return len(self.name_R)

    def at(self, places: list[int]) -> "Head":
        """Those at `places`, in that order."""
        scores = self.score_R[places], self.probability_R[places]
        return Head(self.name_R[places], self.raw_R[places], *scores)


def empty_head() -> Head:
    """A head without candidates: the whole list is the first stage's."""
    none = np.empty(0, np.float32)
    return Head(np.empty(0, np.uint64), none, none, none)


@dataclass(frozen=True)
class Place:
    """Where the next page of a query begins: all that it takes to read on as if in one go.

    It holds the query's vector and the head in its order, so a model is asked once: another run of
    it may differ in the last bits, and two pages would then share a product or lose one.
    """

    vector_D: Floats
    head: Head
    """What of the head is still to be shown."""
    shown_S: Names = field(default_factory=lambda: np.empty(0, np.uint64))
    """What of the head was shown before."""
    dropped_X: Names = field(default_factory=lambda: np.empty(0, np.uint64))
    """What of the head is not to be shown: too improbable, or not the best of its group."""
    after: tuple[float, str] | None = None
    """Score and id of the last product shown from the tail."""
    seen: int = 0
    """Products of the tail up to that one."""
    is_reranked: bool = False
    no_good_match: bool = False

    @property
    def head_size(self) -> int:
        """Products of the first stage that are no part of the tail."""
        return len(self.head) + len(self.shown_S) + len(self.dropped_X)
