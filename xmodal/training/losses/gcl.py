"""Generalised contrastive learning: a pair counts by its weight (grade, clicks).

Shapes: B pairs on this worker, N of all workers.
"""

from torch import Tensor

from xmodal.training.losses.contract import Loss, LossBatch
from xmodal.training.losses.info_nce import info_nce_rows


class Gcl(Loss):
    """InfoNCE whose rows are weighted: what shoppers chose often pulls more than a lone title.

    Source: GCL, arXiv 2404.08535, section 3: the weighted cross entropy.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        """`smoothing`: share of the target spread evenly over all columns."""
        super().__init__()
        self.smoothing = smoothing

    def forward(self, batch: LossBatch) -> Tensor:
        """Weighted mean of both directions; the weights' mean over all workers is 1."""
        return (batch.weight_B * info_nce_rows(batch, self.smoothing)).mean()
