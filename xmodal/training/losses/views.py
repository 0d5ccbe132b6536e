"""A task without captions: two views of a picture are nearer to each other than to others.

The views are two passes over the cached features: mirrored or not, other cells and other features
dropped. So the shop's own pictures teach the trained part, at the price of a second pass.

Shapes: B pairs on this worker, N of all workers.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from xmodal.training.losses.contract import Loss, LossBatch

TEMPERATURE = 0.1  # the best of SimCLR's table 5


class Views(Loss):
    """Cross entropy of a picture's other view among the other views of all workers, both ways.

    Other pictures that fit the same text are no negatives.

    Source: SimCLR, arXiv 2002.05709, eq. 1, with negatives of the other pass alone.
    """

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean over this worker's pictures, in nats."""
        assert batch.again is not None
        there = _contrast(batch, batch.image_BD @ batch.again.image_ND.T)
        back = _contrast(batch, batch.again.image_BD @ batch.image_ND.T)
        return (there + back) / 2


def _contrast(batch: LossBatch, scores_BN: Tensor) -> Tensor:
    fits_BN = (batch.to_image_BN | batch.to_text_BN).scatter(1, batch.own_B[:, None], False)
    return cross_entropy(scores_BN.masked_fill(fits_BN, float("-inf")) / TEMPERATURE, batch.own_B)
