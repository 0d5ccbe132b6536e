"""Consistency of two dropout passes: what a pair scores should not hang on what was dropped.

Shapes: B pairs on this worker, N of all workers.
"""

from torch import Tensor

from xmodal.training.losses.contract import Loss, LossBatch


class Consistency(Loss):
    """The mean of any loss over both passes, plus how far their in-batch distributions differ.

    Source: R-Drop, Liang et al., NeurIPS 2021, eq. 4, both terms halved: the loss stays a mean.
    """

    def __init__(self, inner: Loss, weight: float) -> None:
        """`weight`: of the symmetric divergence, the paper's alpha."""
        super().__init__()
        self.inner, self.weight = inner, weight

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean of both directions, in nats."""
        first, second = batch, batch.again
        assert second is not None
        scale = batch.log_scale.exp()
        to_image = _apart(scale * first.scores_to_image_BN, scale * second.scores_to_image_BN)
        to_text = _apart(scale * first.scores_to_text_BN, scale * second.scores_to_text_BN)
        passes: Tensor = (self.inner(first) + self.inner(second)) / 2
        return passes + self.weight * (to_image + to_text) / 4


def _apart(one_BN: Tensor, other_BN: Tensor) -> Tensor:
    """Mean of both KL divergences of logits, mean over rows."""
    one_BN, other_BN = one_BN.log_softmax(dim=1), other_BN.log_softmax(dim=1)
    return ((one_BN.exp() - other_BN.exp()) * (one_BN - other_BN)).sum(dim=1).mean() / 2
