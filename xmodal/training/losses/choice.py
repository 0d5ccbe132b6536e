"""The loss that the settings name, with all that they add to it."""

from dataclasses import dataclass

from xmodal.settings import LossName, TrainingSettings
from xmodal.training.losses.attributes import AttributeValues
from xmodal.training.losses.bias import BiasPenalty
from xmodal.training.losses.consistency import Consistency
from xmodal.training.losses.contract import Loss
from xmodal.training.losses.distill import Distill
from xmodal.training.losses.gcl import Gcl
from xmodal.training.losses.info_nce import InfoNce
from xmodal.training.losses.margin import Margin
from xmodal.training.losses.matching import Matching
from xmodal.training.losses.matryoshka import Matryoshka
from xmodal.training.losses.multi_task import MultiTask
from xmodal.training.losses.relevance import Relevance
from xmodal.training.losses.siglip import SigLip
from xmodal.training.losses.views import Views


@dataclass(frozen=True)
class Sizes:
    """What heads have to fit."""

    dim: int  # of an embedding
    channels: int = 0  # of the cached map
    values: tuple[int, ...] = ()  # of each attribute
    groups: int = 0  # of the attribute that should make no difference


def make_loss(name: LossName, smoothing: float = 0.0, share: float = 0.5) -> Loss:
    """A loss before its first step.

    Args:
        smoothing: of InfoNCE, wherever it is a part; a sigmoid has no use for it.
        share: of the term that `margin` or `distill` adds to InfoNCE.
    """
    if name == "siglip":
        return SigLip()
    if name == "distill":
        return Distill(smoothing, share)
    if name == "margin":
        return Margin(smoothing, share)
    return Gcl(smoothing) if name == "gcl" else InfoNce(smoothing)


def compose(recipe: TrainingSettings, sizes: Sizes) -> Loss:
    """The whole loss of a recipe; without additions it is `make_loss`'s own."""
    loss = make_loss(recipe.loss, recipe.label_smoothing, recipe.loss_share)
    if recipe.matryoshka:
        loss = Matryoshka(loss, recipe.matryoshka)
    if recipe.consistency:
        loss = Consistency(loss, recipe.consistency)
    if recipe.bias_share:
        loss = BiasPenalty(loss, recipe.bias_share, sizes.groups)
    if recipe.tasks:
        loss = MultiTask(loss, {name: _task(name, sizes) for name in sorted(set(recipe.tasks))})
    return loss


def _task(name: str, sizes: Sizes) -> Loss:
    if name == "attributes":
        return AttributeValues(sizes.dim, sizes.values)
    if name == "matching":
        return Matching(sizes.dim, sizes.channels)
    return Relevance() if name == "relevance" else Views()
