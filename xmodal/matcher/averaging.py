"""Averages of weights: over the steps of a run (EMA), or of tuned and untuned (WiSE-FT).

Weights go by name, as `Encoder.trained_state` gives them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from xmodal.errors import MatcherError
from xmodal.matcher.dual import DualEncoder
from xmodal.matcher.encoder import Encoder

# A young average forgets faster, or a short run would end near its first, random weights.
_YOUTH = 9


class MovingAverage:
    """The exponential moving average of weights: what a run's last steps have in common.

    After step t it is decay x itself + (1 - decay) x the weights, with decay at most t / (t + 9).

    Source: Polyak averaging as in Mean Teacher, arXiv 1703.01780, section 2.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: weight.detach().clone() for name, weight in weights.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + _YOUTH))
        current = [weights[name] for name in self.weights]
        get_ema_multi_avg_fn(decay)(list(self.weights.values()), current, self.steps)

    @contextmanager
    def shown(self, encoder: Encoder) -> Iterator[None]:
        """The encoder has the average's weights until the block ends, then its own again."""
        own = {name: weight.clone() for name, weight in encoder.trained_state().items()}
        encoder.load_trained_state(self.weights)
        try:
            yield
        finally:
            encoder.load_trained_state(own)

    def state_dict(self) -> dict[str, object]:
        """All that a resumed run needs."""
        return {"steps": self.steps, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where `state_dict` was taken. Raises MatcherError for another encoder's."""
        weights = state["weights"]
        assert isinstance(weights, dict)
        if weights.keys() != self.weights.keys():
            raise MatcherError("a checkpoint of another encoder: its average has other weights")
        for name, weight in self.weights.items():
            weight.copy_(weights[name])
        self.steps = int(str(state["steps"]))


def check_interpolation(base: Encoder, base_share: float) -> None:
    """Raise MatcherError where `base` has nothing that could be mixed into a tuned encoder."""
    if base_share and not isinstance(base, DualEncoder):
        raise MatcherError(
            f"training.base_share={base_share:g}: the heads of {base.spec.base!r} are new and know "
            "nothing before they are trained; set it to 0, or take a dual encoder for matcher.base"
        )


@torch.no_grad()
def interpolate(tuned: Encoder, base: Encoder, base_share: float) -> None:
    """Move all weights of `tuned` that share of the way back to those of `base`, in place.

    Source: WiSE-FT, arXiv 2109.01903, eq. 1.

    Raises:
        MatcherError: the encoders are not of one architecture.
    """
    mine, theirs = dict(tuned.named_parameters()), dict(base.named_parameters())
    odd = [n for n in mine.keys() | theirs.keys() if n not in mine or n not in theirs]
    odd += [n for n in mine.keys() & theirs.keys() if mine[n].shape != theirs[n].shape]
    if odd:
        raise MatcherError(f"cannot mix encoders of two architectures: {min(odd)} differs")
    for name, weight in mine.items():
        weight.lerp_(theirs[name].to(weight), base_share)
