"""Tasks beside retrieval, each weighed by an uncertainty that is learnt.

Shapes: S tasks, retrieval the first of them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xmodal.training.losses.contract import Loss, LossBatch


class MultiTask(Loss):
    """Sum over tasks of their loss by their precision, plus half of each log variance.

    A squared error counts by half of its precision, all others by the whole. At first every
    variance is 1. The sum may fall below zero: it is a log likelihood of real numbers.

    Source: Kendall, Gal & Cipolla, CVPR 2018, arXiv 1705.07115, eq. 7 and 10; learnt as log
    variances as in its section 3.2.
    """

    def __init__(self, inner: Loss, tasks: Mapping[str, Loss]) -> None:
        """`inner`: the retrieval loss; `tasks` by name."""
        super().__init__()
        self.inner = inner
        self.tasks = nn.ModuleDict(tasks)
        self.log_variance_S = nn.Parameter(torch.zeros(1 + len(tasks)))

    def forward(self, batch: LossBatch) -> Tensor:
        """The weighed sum, scalar."""
        precision_S = torch.exp(-self.log_variance_S)
        total: Tensor = self.log_variance_S.sum() / 2
        for precision, task in zip(precision_S, [self.inner, *self.tasks.values()], strict=True):
            share = 0.5 if getattr(task, "is_squared", False) else 1.0
            total = total + share * precision * task(batch)
        return total
