"""Two passes over a pair teach something only where they differ."""

from torch import nn

from xmodal.errors import SettingsError
from xmodal.matcher.encoder import Encoder
from xmodal.settings import TrainingSettings


def check_passes(encoder: Encoder, recipe: TrainingSettings) -> None:
    """Check that two passes of the encoder would differ, where the recipe makes two.

    Raises:
        SettingsError: nothing that is trained drops anything.
    """
    encoder.train()
    drops = [part.p for part in encoder.modules() if isinstance(part, nn.Dropout) and part.training]
    encoder.eval()
    if recipe.passes > 1 and not any(drops):
        raise SettingsError(
            "training.consistency and the task `self` compare two passes with dropout, and this "
            "encoder drops nothing: set matcher.dropout above 0 with separate towers, or leave "
            "both out"
        )
