"""SigLIP's sigmoid loss: each (text, image) is a yes or a no of its own, with a learnt bias.

Shapes: B pairs on this worker, N of all workers.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from xmodal.training.losses.contract import Loss, LossBatch

# Nearly all pairs are noes: without it the first steps would only unlearn a bias towards yes.
_FIRST_BIAS = -10.0


class SigLip(Loss):
    """Binary cross entropy over all pairs of texts and images; any number of them may be right.

    Source: SigLIP, arXiv 2303.15343, eq. 1; the first bias is that of its section 3.2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(_FIRST_BIAS))

    def forward(self, batch: LossBatch) -> Tensor:
        """Sum over the N images, mean over this worker's texts."""
        logits_BN = batch.log_scale.exp() * batch.scores_to_image_BN + self.bias
        sign_BN = torch.where(batch.to_image_BN, 1.0, -1.0)
        return -logsigmoid(sign_BN * logits_BN).sum(dim=1).mean()
