"""A task: the cosine of a query and a product is how relevant the product is.

Shapes: B pairs on this worker, N of all workers.
"""

from torch import Tensor

from xmodal.training.gather import gather_rows
from xmodal.training.losses.contract import Loss, LossBatch


class Relevance(Loss):
    """Squared error of cosines: a pair's own against its weight, a negative's against nothing.

    The heaviest pair of the batch has relevance 1. Own pairs and negatives have half of a row
    each: alone, the own pairs would be right where all vectors are one.
    """

    is_squared = True

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean over this worker's queries."""
        wanted_B = batch.weight_B / gather_rows(batch.weight_B).max()
        scores_BN = batch.scores_to_image_BN
        own_B = scores_BN.gather(1, batch.own_B[:, None]).squeeze(1)
        is_other_BN = ~batch.to_image_BN
        others_B = (scores_BN.square() * is_other_BN).sum(1) / is_other_BN.sum(1).clamp(min=1)
        return ((own_B - wanted_B).square() + others_B).mean() / 2
