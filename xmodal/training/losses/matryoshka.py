"""Matryoshka embeddings: the first dimensions of a vector are an embedding of their own.

Shapes: B pairs on this worker, N of all, D embedding size.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor
from torch.nn.functional import normalize

from xmodal.training.losses.contract import Loss, LossBatch


class Matryoshka(Loss):
    """Any loss, of the whole vectors plus of their first `d` dimensions for each `d` in `dims`.

    A prefix is brought to unit length first. A `d` of D or more is the whole, which counts once.

    Source: Kusupati et al., arXiv 2205.13147, eq. 1, all weights 1.
    """

    def __init__(self, inner: Loss, dims: Sequence[int]) -> None:
        super().__init__()
        self.inner = inner
        self.dims = sorted(set(dims))

    def forward(self, batch: LossBatch) -> Tensor:
        """The sum, in nats, scalar."""
        total: Tensor = self.inner(batch)
        for dim in self.dims:
            if dim < batch.text_BD.shape[1]:
                total = total + self.inner(_cut(batch, dim))
        return total


def _cut(batch: LossBatch, dim: int) -> LossBatch:
    return replace(
        batch,
        text_BD=normalize(batch.text_BD[:, :dim], dim=1),
        image_BD=normalize(batch.image_BD[:, :dim], dim=1),
        text_ND=normalize(batch.text_ND[:, :dim], dim=1),
        image_ND=normalize(batch.image_ND[:, :dim], dim=1),
    )
