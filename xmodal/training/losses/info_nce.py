"""InfoNCE, symmetric, with several positives a row and label smoothing: the default.

Shapes: B pairs on this worker, N of all workers.
"""

from torch import Tensor

from xmodal.training.losses.contract import Loss, LossBatch


class InfoNce(Loss):
    """Cross entropy over all products, text to image and image to text.

    Source: CLIP, arXiv 2103.00020, fig. 3; several positives as in SupCon, arXiv 2004.11362,
    eq. 2.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        """`smoothing`: share of the target spread evenly over all columns."""
        super().__init__()
        self.smoothing = smoothing

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean of both directions."""
        return info_nce_rows(batch, self.smoothing).mean()


def info_nce_rows(batch: LossBatch, smoothing: float) -> Tensor:
    """Each pair's loss, (B,), in nats: the mean of both directions."""
    scale = batch.log_scale.exp()
    to_image_B = _nll(scale * batch.scores_to_image_BN, batch.to_image_BN, smoothing)
    to_text_B = _nll(scale * batch.scores_to_text_BN, batch.to_text_BN, smoothing)
    return (to_image_B + to_text_B) / 2


def _nll(logits_BN: Tensor, positive_BN: Tensor, smoothing: float) -> Tensor:
    """Cross entropy (B,) to the row's positives, smoothed."""
    log_prob_BN = logits_BN.log_softmax(dim=1)
    positive_B = (log_prob_BN * positive_BN).sum(dim=1) / positive_BN.sum(dim=1)
    return -((1 - smoothing) * positive_B + smoothing * log_prob_BN.mean(dim=1))
