"""Heads of separate towers: what is trained from scratch, on top of frozen or tuned features.

Shapes: B pictures or texts, D embedding, F image features, S sentence features, W words.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize

_LEAST_SPREAD = 0.05  # activations that hardly move must not be blown up to noise
_MOST_SPREADS = 6.0
_HIDDEN = 512
# A word is seen in few batches: its vector moves at three times the rate of the dense layers.
_WORD_RATE = 3.0
_WORD_SPREAD = 0.02


class ImageHead(nn.Module):
    """Pooled features, side by side, standardised, to the shared space."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(features, dim)
        nn.init.normal_(self.project.weight, std=features**-0.5)

    def settle(self, features_BF: Tensor) -> None:
        """Set mean and spread from a sample of the train pictures."""
        self.mean.copy_(features_BF.mean(0))
        self.spread.copy_(features_BF.std(0) + _LEAST_SPREAD)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        even = ((features_BF - self.mean) / self.spread).clamp(-_MOST_SPREADS, _MOST_SPREADS)
        return normalize(self.project(self.dropout(even)), dim=1)


class TextHead(nn.Module):
    """The sentence and a trained bag of words and n-grams, to the shared space.

    The bag is what makes Chinese, brand names and the shop's own words real: the sentence model
    has never seen them.
    """

    def __init__(self, sentence: int, vocabulary: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(vocabulary, dim, mode="sum", padding_idx=0)
        nn.init.normal_(self.bag.weight, std=_WORD_SPREAD / _WORD_RATE)
        with torch.no_grad():
            self.bag.weight[0] = 0
        self.dropout = nn.Dropout(dropout)
        self.direct = nn.Linear(sentence, dim)
        self.hidden = nn.Linear(sentence, _HIDDEN)
        self.project = nn.Linear(_HIDDEN, dim)

    def forward(self, sentence_BS: Tensor, words_BW: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        count_B1 = (words_BW > 0).sum(1, keepdim=True).clamp(min=1)
        bag_BD = _WORD_RATE * self.bag(words_BW) / count_B1.sqrt()
        seen_BS = self.dropout(normalize(sentence_BS, dim=1))
        deep_BD = self.project(self.dropout(gelu(self.hidden(seen_BS))))
        return normalize(self.direct(seen_BS) + deep_BD + bag_BD, dim=1)


class LinearHead(nn.Module):
    """A centred linear map to the shared space: the closed-form base."""

    mean: Tensor

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.project = nn.Linear(features, dim, bias=False)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Unit vectors (B, D)."""
        return normalize(self.project(features_BF - self.mean), dim=1)
