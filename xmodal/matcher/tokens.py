"""Patch tokens: the reranker's view of a picture, 16 tokens of 128, int8 in the token store.

    tuned map pooled to 4 x 2 -> 8 tokens | tuned pooled features -> 4 | base pooled features -> 4

The base tower's features are there because the tuned tower has learnt the train pictures by heart.

Shapes: B pictures, F pooled features, C H W map, T = 16 tokens of 128.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

GRID = (4, 2)
PATCH_TOKENS = 16
PATCH_DIM = 128
_POOLED_TOKENS = 4
_NAMES = ("map", "tuned", "base")


@dataclass(frozen=True)
class ImageViews:
    """What an image tower makes of its trunk's features."""

    vector_BD: Tensor
    """Unit vectors of the shared space."""
    tuned_BF: Tensor
    base_BF: Tensor
    """Pooled features of the tuned and of the base tower."""
    map_BCHW: Tensor
    """The tuned tower's last map."""


class PatchTokens(nn.Module):
    """Linear maps of the last map and of both pooled features, fitted by PCA on train pictures."""

    def __init__(self, map_channels: int, features: int) -> None:
        super().__init__()
        sizes = (map_channels, PATCH_DIM), (features, _POOLED_TOKENS * PATCH_DIM)
        for name, (inside, outside) in zip(_NAMES, (*sizes, sizes[1]), strict=True):
            self.register_buffer(f"{name}_mean", torch.zeros(inside))
            self.register_buffer(f"{name}_basis", torch.eye(inside, outside))

    def forward(self, views: ImageViews) -> Tensor:
        """Float32 tokens (B, 16, 128), each dimension of unit spread on the train pictures."""
        cells_BTC = _cells(views.map_BCHW)
        patches = (cells_BTC - self.map_mean) @ self.map_basis
        tuned = (views.tuned_BF - self.tuned_mean) @ self.tuned_basis
        base = (views.base_BF - self.base_mean) @ self.base_basis
        pooled = torch.cat([tuned, base], dim=1).unflatten(1, (2 * _POOLED_TOKENS, PATCH_DIM))
        return torch.cat([patches, pooled], dim=1)


def fit_patch_tokens(patch: PatchTokens, batches: Iterable[ImageViews]) -> None:
    """Fit the maps of `patch` in place: whitened principal components of the train pictures.

    One pass, float64 sums; a component below 1 % of the strongest keeps that floor of spread, so
    that noise is not blown up. Raises ValueError where there is no batch.
    """
    moments = {name: _Moments() for name in _NAMES}
    for views in batches:
        moments["map"].add(_cells(views.map_BCHW).flatten(0, 1))
        moments["tuned"].add(views.tuned_BF)
        moments["base"].add(views.base_BF)
    for name, moment in moments.items():
        basis = patch.get_buffer(f"{name}_basis")
        mean, fitted = moment.whitening(basis.shape[1])
        patch.get_buffer(f"{name}_mean").copy_(mean)
        basis.zero_()[:, : fitted.shape[1]] = fitted.to(basis.dtype)


def quantise(tokens_BTC: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens as int8 (B, 16, 128) and one float32 step a picture, (B,).

    The largest value of a picture becomes 127; the error is at most half a step.
    """
    step_B = tokens_BTC.abs().amax(dim=(1, 2)).clamp(min=1e-8) / 127
    return (tokens_BTC / step_B[:, None, None]).round().to(torch.int8), step_B.float()


def dequantise(tokens_BTC: Tensor, step_B: Tensor) -> Tensor:
    """Float32 tokens of what `quantise` gave; leading dimensions may be any, alike in both."""
    return tokens_BTC.float() * step_B[..., None, None]


def _cells(map_BCHW: Tensor) -> Tensor:
    """The map averaged over a grid of 4 x 2, as (B, 8, C)."""
    return adaptive_avg_pool2d(map_BCHW, GRID).flatten(2).transpose(1, 2)


class _Moments:
    """Running sums of rows and of their outer products."""

    def __init__(self) -> None:
        self.rows = 0
        self.total: Tensor = torch.zeros(())
        self.outer: Tensor = torch.zeros(())

    def add(self, rows_NC: Tensor) -> None:
        rows = rows_NC.detach().double()
        self.rows += len(rows)
        self.total = self.total + rows.sum(0)
        self.outer = self.outer + rows.T @ rows

    def whitening(self, most: int) -> tuple[Tensor, Tensor]:
        """Mean (C,) and basis (C, at most `most`), the strongest component first."""
        if not self.rows:
            raise ValueError("no pictures to fit the patch tokens on")
        mean = self.total / self.rows
        value, vector = torch.linalg.eigh(self.outer / self.rows - mean.outer(mean))
        value, vector = value.flip(0)[:most], vector.flip(1)[:, :most]
        spread = value.clamp(min=0).sqrt()
        # The sign of an eigenvector is free: the largest entry is made positive.
        sign = vector.gather(0, vector.abs().argmax(0, keepdim=True)).sign()
        return mean, vector * sign / spread.clamp(min=max(0.01 * float(spread[0]), 1e-6))
