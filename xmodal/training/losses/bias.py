"""A penalty on bias: a query that names no group should score no group higher than another.

Shapes: B pairs on this worker, N of all workers, G groups.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from xmodal.training.gather import gather_rows
from xmodal.training.losses.contract import Loss, LossBatch


class BiasPenalty(Loss):
    """Any loss, plus `weight` times the squared difference of the groups' mean scores."""

    def __init__(self, inner: Loss, weight: float, groups: int) -> None:
        """`groups`: how many there are; numbers are from 1."""
        super().__init__()
        self.inner, self.weight, self.groups = inner, weight, groups

    def forward(self, batch: LossBatch) -> Tensor:
        """The sum."""
        total: Tensor = self.inner(batch)
        return total + self.weight * group_gap(batch, self.groups)


def group_gap(batch: LossBatch, groups: int) -> Tensor:
    """Mean over pairs of groups of the squared difference of their mean scores, scalar.

    A group's mean is over the queries of all workers that name no group, and over its products
    in the batch; a query's own and fitting products are left out, since their score is meant. A
    score is the logit, its temperature held fast: else a warmer softmax would hide the gap. Groups
    without a score do not count. It is alike on all workers.

    Source: the mean difference of Calders et al., Controlling attribute effect in linear
    regression, ICDM 2013, section III, as a penalty.
    """
    assert batch.clues is not None
    scores_BN = batch.log_scale.detach().exp() * batch.scores_to_image_BN
    group_N = gather_rows(batch.clues.group_B)
    member_NG = one_hot(group_N, groups + 1)[:, 1:].to(scores_BN.dtype)
    counts_BN = batch.clues.is_neutral_B[:, None] & ~batch.to_image_BN
    sums_2G = torch.stack(
        [
            ((scores_BN * counts_BN) @ member_NG).sum(0),
            (counts_BN.to(scores_BN.dtype) @ member_NG).sum(0),
        ]
    )
    total_G, count_G = gather_rows(sums_2G[None]).sum(0)
    is_seen_G = count_G > 0
    mean_G = total_G / count_G.clamp(min=1)
    seen = is_seen_G.sum()
    centre = mean_G.sum() / seen.clamp(min=1)
    # The mean squared difference of two is twice the variance; nothing waits for the device.
    gap: Tensor = 2 * ((mean_G - centre).square() * is_seen_G).sum() / (seen - 1).clamp(min=1)
    return gap
