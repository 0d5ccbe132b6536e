"""The loss that `training.loss` names."""

from xmodal.settings import LossName
from xmodal.training.losses.contract import Loss
from xmodal.training.losses.distill import Distill
from xmodal.training.losses.gcl import Gcl
from xmodal.training.losses.info_nce import InfoNce
from xmodal.training.losses.margin import Margin
from xmodal.training.losses.siglip import SigLip


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
