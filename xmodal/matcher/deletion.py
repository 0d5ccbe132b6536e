"""The proof of an explanation: what the heaviest fifth of a pair costs, against any fifth.

Shapes: R random draws, G grid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from xmodal.matcher.explain import Explanation, Floats, PairScore, hide, without

SHARE = 0.2
DRAWS = 5


@dataclass(frozen=True)
class Deletion:
    """What the score loses, in the score's own units; in the mean where it is of many pairs."""

    words_heaviest: float
    words_random: float
    regions_heaviest: float
    regions_random: float

    @property
    def words_ratio(self) -> float:
        """How many times more the heaviest words cost than random ones."""
        return _ratio(self.words_heaviest, self.words_random)

    @property
    def regions_ratio(self) -> float:
        """How many times more the heaviest cells cost than random ones."""
        return _ratio(self.regions_heaviest, self.regions_random)


def deletion(pair: PairScore, why: Explanation, rng: np.random.Generator) -> Deletion:
    """Delete the heaviest SHARE of the words, then of the cells, and as many at random.

    Source: deletion curves; Petsiuk, Das and Saenko, arXiv 1806.07421, section 4.2.
    """

    def cut(chosen: Sequence[Sequence[int]]) -> Floats:
        places = [[pair.places[word] for word in words] for words in chosen]
        return pair.of_texts([without(pair.text, gone) for gone in places])

    def cover(chosen: Sequence[Sequence[int]]) -> Floats:
        masks = np.zeros((len(chosen), why.region_GG.size), dtype=np.bool_)
        for mask, cells in zip(masks, chosen, strict=True):
            mask[list(cells)] = True
        return pair.of_pictures(hide(pair.pixels_CHW, masks.reshape(-1, *why.region_GG.shape)))

    weights = np.array([word.weight for word in why.words])
    words = _losses(weights, cut, why.score, rng) if len(weights) else (0.0, 0.0)
    return Deletion(*words, *_losses(why.region_GG.ravel(), cover, why.score, rng))


def mean_deletion(found: Sequence[Deletion]) -> Deletion:
    """The means over pairs: their ratio does not hang on pairs that random parts hardly move."""
    return Deletion(
        *(float(np.mean([getattr(one, field.name) for one in found])) for field in fields(Deletion))
    )


def _losses(
    weights: Floats,
    score_of: Callable[[Sequence[Sequence[int]]], Floats],
    score: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """What the heaviest parts cost, and what as many random ones do in the mean of DRAWS."""
    count = max(1, round(SHARE * len(weights)))
    chosen = [np.argsort(-weights, kind="stable")[:count].tolist()]
    chosen += [rng.permutation(len(weights))[:count].tolist() for _ in range(DRAWS)]
    heaviest, *others = (score - score_of(chosen)).tolist()
    return heaviest, float(np.mean(others))


def _ratio(heaviest: float, random: float) -> float:
    return heaviest / random if random > 0 else float("inf")
