"""A task: does this picture fit this text? A small attention head says yes or no.

    text vector -> query  -+
    cells of the cached map, the image vector -> keys, values -+-> attended x query -> a logit

Shapes: B pairs on this worker, N of all, D embedding, C channels, L = 13 tokens, W width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, adaptive_avg_pool2d, softplus

from xmodal.training.gather import gather_rows
from xmodal.training.losses.contract import Loss, LossBatch

_GRID = (4, 3)
_WIDTH = 64
_HEADS = 4


class Matching(Loss):
    """Binary cross entropy of each pair, and of its text and its picture with the hardest negative.

    The map is the cached one below the trained blocks: what is learnt reaches the towers by both
    vectors. Hardest is the negative of the largest cosine on all workers; what fits is none.

    Source: image-text matching of ALBEF, arXiv 2107.07651, section 3.2, with the hardest negative
    instead of a drawn one.
    """

    def __init__(self, dim: int, channels: int) -> None:
        """`channels`: of the cached map."""
        super().__init__()
        self.spread = dim**0.5
        self.query = nn.Linear(dim, _WIDTH)
        self.vector = nn.Linear(dim, _WIDTH)
        self.even = nn.LayerNorm(channels)
        self.cell = nn.Linear(channels, _WIDTH)
        self.attend = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
        self.answer = nn.Linear(_WIDTH, 1)

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean over this worker's pairs, in nats."""
        assert batch.trunk is not None
        cells_BLC = cells_of(batch.trunk["lower"]).to(batch.text_BD.dtype)
        cells_NLC = gather_rows(cells_BLC)
        image_B, has_image_B = _hardest(batch.scores_to_image_BN, batch.to_image_BN)
        text_B, has_text_B = _hardest(batch.scores_to_text_BN, batch.to_text_BN)
        logit_3B = self._logits(
            torch.cat([batch.text_BD, batch.text_BD, batch.text_ND[text_B]]),
            torch.cat([batch.image_BD, batch.image_ND[image_B], batch.image_BD]),
            torch.cat([cells_BLC, cells_NLC[image_B], cells_BLC]),
        )
        yes_B, other_image_B, other_text_B = logit_3B.chunk(3)
        noes_B = has_image_B * softplus(other_image_B) + has_text_B * softplus(other_text_B)
        return (softplus(-yes_B) + noes_B).mean() / 3

    def _logits(self, text_BD: Tensor, image_BD: Tensor, cells_BLC: Tensor) -> Tensor:
        query_BW = self.query(self.spread * text_BD)
        vector_B1W = self.vector(self.spread * image_BD)[:, None]
        tokens_BLW = torch.cat([self.cell(self.even(cells_BLC)), vector_B1W], dim=1)
        attended_B1W, _ = self.attend(query_BW[:, None], tokens_BLW, tokens_BLW, need_weights=False)
        logit_B1: Tensor = self.answer(query_BW * attended_B1W[:, 0])
        return logit_B1[:, 0]


def cells_of(lower: Tensor) -> Tensor:
    """A cached map (B, C, H, W), or tokens (B, T, C), as 12 cells (B, 12, C) without gradient."""
    lower = lower.detach().float()
    if lower.ndim == 4:
        return adaptive_avg_pool2d(lower, _GRID).flatten(2).transpose(1, 2)
    return adaptive_avg_pool1d(lower.transpose(1, 2), _GRID[0] * _GRID[1]).transpose(1, 2)


def _hardest(scores_BN: Tensor, positive_BN: Tensor) -> tuple[Tensor, Tensor]:
    """The column of each row's largest score that is no positive, and whether there is one."""
    hardest_B = scores_BN.detach().masked_fill(positive_BN, float("-inf")).argmax(dim=1)
    return hardest_B, ~positive_BN.all(dim=1)
