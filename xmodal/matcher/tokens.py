"""Patch tokens: the reranker's view of a picture, 16 tokens of 128, int8 in the token store.

    tuned map pooled to 2 x 4 -> 8 tokens | base and tuned pooled features -> 4 + 4 tokens

Shapes: B pictures, F pooled features, C H W map, T = 16 tokens of 128.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

GRID = (4, 2)
PATCH_TOKENS = 16
PATCH_DIM = 128
_POOLED = 4 * PATCH_DIM


class PatchTokens(nn.Module):
    """Linear maps of the tuned map and of both pooled features, fitted by PCA."""

    def __init__(self, map_channels: int, features: int) -> None:
        super().__init__()
        self.register_buffer("map_mean", torch.zeros(map_channels))
        self.register_buffer("map_basis", torch.eye(map_channels, PATCH_DIM))
        for name in ("tuned", "base"):
            self.register_buffer(f"{name}_mean", torch.zeros(features))
            self.register_buffer(f"{name}_basis", torch.eye(features, _POOLED))
        self.register_buffer("scale", torch.ones(PATCH_TOKENS, PATCH_DIM))

    def forward(self, map_BCHW: Tensor, tuned_BF: Tensor, base_BF: Tensor) -> Tensor:
        """Float32 tokens (B, 16, 128), each dimension of unit spread on the train pictures."""
        cells_BTC = adaptive_avg_pool2d(map_BCHW, GRID).flatten(2).transpose(1, 2)
        patches = (cells_BTC - self.map_mean) @ self.map_basis
        tuned = ((tuned_BF - self.tuned_mean) @ self.tuned_basis).unflatten(1, (4, PATCH_DIM))
        base = ((base_BF - self.base_mean) @ self.base_basis).unflatten(1, (4, PATCH_DIM))
        return torch.cat([patches, tuned, base], dim=1) / self.scale
