"""Heads of separate towers: what is trained from scratch, on top of frozen or tuned features.

Shapes: B pictures or texts, D embedding, F image features, S sentence features, W words.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

BAG_DIM = 512


class ImageHead(nn.Module):
    """Pooled features, side by side, to the shared space."""

    def __init__(self, features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(features, dim)

    def forward(self, pooled_BF: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        return normalize(self.project(self.dropout(pooled_BF)), dim=1)


class TextHead(nn.Module):
    """The sentence and a trained bag of words and n-grams, to the shared space.

    The bag is what makes Chinese, brand names and the shop's own words real: the sentence model
    has never seen them.
    """

    def __init__(self, sentence: int, vocabulary: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(vocabulary, BAG_DIM, mode="sum", padding_idx=0)
        nn.init.normal_(self.bag.weight, std=BAG_DIM**-0.5)
        with torch.no_grad():
            self.bag.weight[0] = 0
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(sentence + BAG_DIM, dim)

    def forward(self, sentence_BS: Tensor, words_BW: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        count_B1 = (words_BW > 0).sum(1, keepdim=True).clamp(min=1)
        bag_BE = self.bag(words_BW) / count_B1.sqrt()
        both = torch.cat([normalize(sentence_BS, dim=1), bag_BE], dim=1)
        return normalize(self.project(self.dropout(both)), dim=1)


class LinearHead(nn.Module):
    """A centred linear map to the shared space: the closed-form base."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.project = nn.Linear(features, dim, bias=False)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        return normalize(self.project(features_BF - self.mean), dim=1)
