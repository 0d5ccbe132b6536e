"""A task: the values of a product's attributes, told from its picture's vector.

Shapes: B pairs on this worker, D embedding size, A attributes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from xmodal.training.gather import gather_rows, world_size
from xmodal.training.losses.contract import Loss, LossBatch


class AttributeValues(Loss):
    """Negative log-likelihood of each attribute's value by a linear head; mean over attributes.

    A product that lacks the attribute does not count.
    """

    def __init__(self, dim: int, sizes: Sequence[int]) -> None:
        """`sizes`: how many values each attribute has."""
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(dim, size) for size in sizes)
        self.spread = dim**0.5  # of a unit vector's parts, to about 1

    def forward(self, batch: LossBatch) -> Tensor:
        """The mean over workers is the mean over all products that have a value, in nats."""
        assert batch.clues is not None
        value_BA = batch.clues.value_BA
        known_A = gather_rows((value_BA > 0).sum(0, keepdim=True)).sum(0).clamp(min=1)
        inputs_BD = self.spread * batch.image_BD
        total_A = [
            cross_entropy(head(inputs_BD), value_B - 1, ignore_index=-1, reduction="sum")
            for head, value_B in zip(self.heads, value_BA.unbind(1), strict=True)
        ]
        return (torch.stack(total_A) * world_size() / known_A).mean()
