"""Patch tokens: the reranker's view of a picture, 16 tokens of 128, int8 in the token store.

    tuned map pooled to 3 x 2 -> 6 tokens | the unit vector -> 2 | tuned pooled features -> 4 |
    base pooled features -> 4

The base tower's features are there because the tuned tower has learnt the train pictures by heart.

Shapes: B pictures, D embedding, F pooled features, C H W map, T = 16 tokens of 128.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

GRID = (3, 2)
PATCH_TOKENS = 16
PATCH_DIM = 128
VECTOR_TOKENS = slice(6, 8)
BASE_TOKENS = slice(12, 16)
_POOLED_TOKENS = 4
_NAMES = ("map", "vector", "tuned", "base")
# A feature that hardly moves must not be blown up to noise.
_LEAST_SPREAD = 0.05


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
    """Linear maps of the last map, the vector and both pooled features, fitted on train pictures.

    All are principal components, whitened, but for the vector: that is turned (where D is more
    than 256, cut) and scaled by the root of D, so that inner products of vectors can be had back.
    """

    map_mean: Tensor
    tuned_mean: Tensor
    base_mean: Tensor

    def __init__(self, map_channels: int, dim: int, tuned: int, base: int) -> None:
        super().__init__()
        self.dim = dim
        pooled = _POOLED_TOKENS * PATCH_DIM
        sizes = (map_channels, PATCH_DIM), (dim, 2 * PATCH_DIM), (tuned, pooled), (base, pooled)
        for name, (inside, outside) in zip(_NAMES, sizes, strict=True):
            self.register_buffer(f"{name}_mean", torch.zeros(inside))
            self.register_buffer(f"{name}_basis", torch.eye(inside, outside))
        self.register_buffer("base_spread", torch.ones(pooled))

    def forward(self, views: ImageViews) -> Tensor:
        """Float32 tokens (B, 16, 128), each dimension of unit spread on the train pictures."""
        vector = self.dim**0.5 * views.vector_BD
        parts = [
            self._mapped("map", _cells(views.map_BCHW)),
            self._mapped("vector", vector).unflatten(1, (-1, PATCH_DIM)),
            self._mapped("tuned", views.tuned_BF).unflatten(1, (-1, PATCH_DIM)),
            self._mapped("base", views.base_BF).unflatten(1, (-1, PATCH_DIM)),
        ]
        return torch.cat(parts, dim=1)

    def _mapped(self, name: str, rows: Tensor) -> Tensor:
        return (rows - self.get_buffer(f"{name}_mean")) @ self.get_buffer(f"{name}_basis")


def fit_patch_tokens(patch: PatchTokens, batches: Iterable[ImageViews]) -> None:
    """Fit the maps of `patch` in place: whitened principal components of the train pictures.

    One pass, float64 sums; a component below 1 % of the strongest keeps that floor of spread, so
    that noise is not blown up. Raises ValueError where there is no batch.
    """
    moments = {name: _Moments() for name in _NAMES}
    for views in batches:
        moments["map"].add(_cells(views.map_BCHW).flatten(0, 1))
        moments["vector"].add(views.vector_BD)
        moments["tuned"].add(views.tuned_BF)
        moments["base"].add(views.base_BF)
    if patch.dim > 2 * PATCH_DIM:
        patch.get_buffer("vector_basis").copy_(moments["vector"].turning(2 * PATCH_DIM))
    for name in ("map", "tuned", "base"):
        basis = patch.get_buffer(f"{name}_basis")
        mean, fitted, spread = moments[name].whitening(basis.shape[1], even=name == "base")
        patch.get_buffer(f"{name}_mean").copy_(mean)
        basis.zero_()[:, : fitted.shape[1]] = fitted.to(basis.dtype)
        if name == "base":
            patch.get_buffer("base_spread").zero_()[: len(spread)] = (spread / spread[0]).float()


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
    """The map averaged over a grid of 3 x 2, as (B, 6, C)."""
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

    def whitening(self, most: int, even: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (C,), basis (C, at most `most`) and spreads, the strongest component first.

        `even`: features of several kinds and scales, each of which is to count alike.
        """
        mean, covariance = self._centred()
        scale = torch.ones_like(mean)
        if even:
            scale = 1 / (covariance.diagonal().clamp(min=0).sqrt() + _LEAST_SPREAD)
        value, vector = _strongest(scale[:, None] * covariance * scale, most)
        spread = value.clamp(min=0).sqrt()
        floor = spread.clamp(min=max(0.01 * float(spread[0]), 1e-6))
        return mean, scale[:, None] * vector / floor, spread

    def turning(self, most: int) -> Tensor:
        """Orthonormal basis (C, most) that keeps the most of the rows' inner products."""
        if not self.rows:
            raise ValueError("no pictures to fit the patch tokens on")
        return _strongest(self.outer / self.rows, most)[1].float()

    def _centred(self) -> tuple[Tensor, Tensor]:
        if not self.rows:
            raise ValueError("no pictures to fit the patch tokens on")
        mean = self.total / self.rows
        return mean, self.outer / self.rows - mean.outer(mean)


def _strongest(symmetric: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues and their vectors, strongest first."""
    value, vector = torch.linalg.eigh(symmetric)
    value, vector = value.flip(0)[:most], vector.flip(1)[:, :most]
    # The sign of an eigenvector is free: the largest entry is made positive.
    return value, vector * vector.gather(0, vector.abs().argmax(0, keepdim=True)).sign()
