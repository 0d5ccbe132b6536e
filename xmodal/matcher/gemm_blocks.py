"""Upper blocks of an EfficientNet as matrix products: the form in which they are trained.

On a CPU the backward pass of small convolutions takes 2 to 4 times as long as the products that
they are. Here a 1 x 1 convolution is one product, and a depthwise one a product a channel with
the (cells in, cells out) matrix of its kernel; batch normalisation is folded into the weights.
The outputs are those of the convolutions (tests/matcher/test_gemm_blocks.py).

Shapes: B pictures, C channels, H W map, P = H x W cells; activations lie as (C, B x P).
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

_Grid = tuple[int, int]
_MOST_CELLS = 128  # the matrix of a kernel grows with the square of the cells


class GemmUpper(nn.Module):
    """Inverted residual blocks and the last convolution, average-pooled."""

    def __init__(self, blocks: Sequence[nn.Module], tail: Sequence[nn.Module], grid: _Grid) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for block in blocks:
            made = _Residual(block, grid)
            self.blocks.append(made)
            grid = made.grid
        convolution, norm = tail
        self.head = _Pointwise(_fused(convolution, norm))
        self.act = _activation(norm)
        self.grid = grid

    def forward(self, lower: Tensor) -> tuple[Tensor, Tensor]:
        """Activations at the cut to pooled features (B, F) and the last map (B, C, H, W)."""
        rows = len(lower)
        x = lower.flatten(2).transpose(0, 1).flatten(1)
        for block in self.blocks:
            x = block(x)
        last_CBP = self.act(self.head(x)).unflatten(1, (rows, -1))
        return last_CBP.mean(2).T, last_CBP.transpose(0, 1).unflatten(2, self.grid)


def can_be_gemm(blocks: Sequence[nn.Module], tail: Sequence[nn.Module], grid: _Grid) -> bool:
    """Whether `GemmUpper` knows such blocks, on a map small enough."""
    known = all(
        {"conv_pw", "bn1", "conv_dw", "bn2", "se", "conv_pwl", "bn3"} <= set(block._modules)
        and isinstance(block.se, nn.Identity)
        for block in blocks
    )
    return known and len(blocks) > 0 and len(tail) == 2 and grid[0] * grid[1] <= _MOST_CELLS


class _Pointwise(nn.Module):
    """A 1 x 1 convolution."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert convolution.bias is not None
        self.weight = nn.Parameter(convolution.weight.detach().flatten(1).clone())
        self.bias = nn.Parameter(convolution.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias[:, None], self.weight, x)


class _Depthwise(nn.Module):
    """A depthwise convolution on maps of one size."""

    taps: Tensor

    def __init__(self, convolution: nn.Conv2d, grid: _Grid) -> None:
        super().__init__()
        assert convolution.bias is not None
        self.weight = nn.Parameter(convolution.weight.detach().flatten(1).clone())
        self.bias = nn.Parameter(convolution.bias.detach().clone())
        taps, self.grid = _taps(convolution, grid)
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        inside, outside = self.taps.shape
        # One column of zeros, for cells that the kernel does not join.
        matrix_CPP = pad(self.weight, (0, 1)).index_select(1, self.taps.flatten())
        matrix_CPP = matrix_CPP.view(-1, inside, outside)
        maps_CBP = x.view(len(x), -1, inside)
        return torch.baddbmm(self.bias[:, None, None], maps_CBP, matrix_CPP).flatten(1)


class _Residual(nn.Module):
    """Widen, filter each channel, narrow; the input added where the shape allows."""

    def __init__(self, block: nn.Module, grid: _Grid) -> None:
        super().__init__()
        self.widen = _Pointwise(_fused(block.conv_pw, block.bn1))
        self.filter = _Depthwise(_fused(block.conv_dw, block.bn2), grid)
        self.narrow = _Pointwise(_fused(block.conv_pwl, block.bn3))
        self.acts = _activation(block.bn1), _activation(block.bn2)
        self.has_skip = bool(block.has_skip)
        self.grid = self.filter.grid

    def forward(self, x: Tensor) -> Tensor:
        wide = self.acts[1](self.filter(self.acts[0](self.widen(x))))
        narrow = cast(Tensor, self.narrow(wide))
        return narrow + x if self.has_skip else narrow


def _fused(convolution: object, norm: object) -> nn.Conv2d:
    """The convolution with the normalisation folded in, weights copied."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution.eval(), norm.eval())


def _activation(norm: object) -> Callable[[Tensor], Tensor]:
    """The activation that timm keeps inside its normalisation layers, not in place."""
    act = deepcopy(cast(nn.Module, norm).act)
    if hasattr(act, "inplace"):
        act.inplace = False
    return cast(Callable[[Tensor], Tensor], act)


def _taps(convolution: nn.Conv2d, grid: _Grid) -> tuple[Tensor, _Grid]:
    """Which tap of the kernel joins cell in and cell out (P, P'), or k x k for none; grid out.

    Read off the convolution itself, so that its padding and stride need no second description.
    """
    cells = grid[0] * grid[1]
    one = deepcopy(convolution)
    one.groups, one.bias = 1, None
    size = convolution.kernel_size
    count = size[0] * size[1]
    taps = None
    with torch.no_grad():
        for tap in range(count):
            one.weight = nn.Parameter(torch.eye(count)[tap].view(1, 1, *size))
            lit = one(torch.eye(cells).view(cells, 1, *grid))
            if taps is None:
                taps = torch.full((cells, lit[0].numel()), count)
            taps[lit.flatten(1) > 0] = tap
    assert taps is not None
    return taps, (lit.shape[2], lit.shape[3])
