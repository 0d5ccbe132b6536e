"""InfoNCE beside a hinge on the hardest negative, which is never a false one.

Shapes: B pairs on this worker, N of all workers.
"""

import torch
from torch import Tensor

from xmodal.training.losses.contract import Loss, LossBatch
from xmodal.training.losses.info_nce import info_nce_rows

MARGIN = 0.2  # of cosine, as in VSE++


class Margin(Loss):
    """The own pair has to beat the hardest negative of all workers by `MARGIN`.

    Same product, same caption and what fits are no negatives. A row without negatives costs
    nothing. Alone, the hinge of random heads collapses: InfoNCE leads it.

    Source: VSE++, arXiv 1707.05612, eq. 6.
    """

    def __init__(self, smoothing: float = 0.0, share: float = 0.5) -> None:
        """`share`: of the hinge, between 0 and 1; the rest is InfoNCE with `smoothing`."""
        super().__init__()
        self.smoothing, self.share = smoothing, share

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean over rows of both terms."""
        to_image_B = _hinge(batch.scores_to_image_BN, batch.to_image_BN, batch.own_B)
        to_text_B = _hinge(batch.scores_to_text_BN, batch.to_text_BN, batch.own_B)
        rows_B = info_nce_rows(batch, self.smoothing)
        return (self.share * (to_image_B + to_text_B) + (1 - self.share) * rows_B).mean()


def _hinge(scores_BN: Tensor, positive_BN: Tensor, own_B: Tensor) -> Tensor:
    """[margin + hardest negative - own pair]+ of each row, (B,)."""
    hardest_B = scores_BN.masked_fill(positive_BN, float("-inf")).amax(dim=1)
    own = scores_BN.gather(1, own_B[:, None]).squeeze(1)
    return torch.relu(MARGIN + hardest_B - own)
