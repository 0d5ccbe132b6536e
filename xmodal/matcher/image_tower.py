"""The image tower: any timm model, cut in two at the lowest trained block.

    pixels -> lower (frozen) -> activations -> upper (a frozen copy and a tuned one) -> pooled

Shapes: B pictures, C H W image or map, L tokens of a vision transformer, F pooled features.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors.torch import load_file
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from xmodal.errors import MatcherError
from xmodal.matcher.gemm_blocks import GemmUpper, can_be_gemm

_Rgb = tuple[float, float, float]


class Upper(nn.Module):
    """The blocks above the cut, and the tower's own pooling."""

    def __init__(self, blocks: list[nn.Module], tail: list[nn.Module], pool: nn.Module) -> None:
        super().__init__()
        self.blocks = len(blocks)
        self.chain = nn.Sequential(*blocks, *tail)
        self.pool = pool

    def forward(self, lower: Tensor) -> tuple[Tensor, Tensor]:
        """Activations at the cut to pooled features (B, F) and the last map (B, C, H, W)."""
        last_BCHW = self.chain(lower)
        return self.pool(last_BCHW).flatten(1), last_BCHW

    def for_training(self, grid: tuple[int, int]) -> nn.Module:
        """A copy to tune, on maps of `grid` cells at the cut: as products where that is faster."""
        parts = list(self.chain)
        blocks, tail = parts[: self.blocks], parts[self.blocks :]
        if can_be_gemm(blocks, tail, grid) and getattr(self.pool, "pool_type", "") == "avg":
            return GemmUpper(blocks, tail, grid)
        return deepcopy(self)


def as_convolutions(base: Upper, tuned: GemmUpper) -> Upper:
    """What `Upper.for_training` made, as the convolutions that it came from.

    `base`: its untuned twin, the norms folded into the convolutions. On a runtime with good
    convolutions this is the faster form, and one that can be quantised.
    """
    copy = deepcopy(base)
    parts = list(copy.chain)
    blocks: list[Any] = parts[: copy.blocks]
    products: list[Any] = list(tuned.blocks)
    for block, gemm in zip(blocks, products, strict=True):
        _take_weights(block.conv_pw, gemm.widen)
        _take_weights(block.conv_dw, gemm.filter)
        _take_weights(block.conv_pwl, gemm.narrow)
    _take_weights(cast(nn.Conv2d, parts[copy.blocks]), tuned.head)
    return copy


def _take_weights(convolution: nn.Conv2d, gemm: nn.Module) -> None:
    """Give `convolution` the weights of a product; it may have fewer channels (pruning)."""
    weight, bias = cast(Tensor, gemm.weight).detach(), cast(Tensor, gemm.bias).detach()
    is_depthwise = convolution.groups > 1
    convolution.out_channels = len(weight)
    convolution.in_channels = len(weight) if is_depthwise else weight.shape[1]
    convolution.groups = len(weight) if is_depthwise else 1
    inside = 1 if is_depthwise else weight.shape[1]
    shaped = weight.view(len(weight), inside, *convolution.kernel_size)
    convolution.weight = nn.Parameter(shaped.clone(), requires_grad=False)
    convolution.bias = nn.Parameter(bias.clone(), requires_grad=False)


class TokenLower(nn.Module):
    """A vision transformer up to the cut: normalised pixels to tokens (B, L, C)."""

    def __init__(self, model: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.model = deepcopy(model)
        self.model.blocks = nn.Sequential(*blocks)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Tokens after the last lower block, prefix tokens first."""
        read = cast(Callable[..., list[tuple[Tensor, Tensor]]], self.model.forward_intermediates)
        [(patches_BLC, prefix_BLC)] = read(
            pixels_BCHW,
            indices=1,
            norm=False,
            output_fmt="NLC",
            intermediates_only=True,
            return_prefix_tokens=True,
        )
        return patches_BLC if prefix_BLC is None else torch.cat([prefix_BLC, patches_BLC], dim=1)


class TokenUpper(nn.Module):
    """A vision transformer's blocks above the cut, its last norm and its pooling."""

    def __init__(self, model: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.grid: tuple[int, int] = model.patch_embed.grid_size  # type: ignore[assignment, union-attr]
        self.prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.blocks = nn.Sequential(*blocks)
        self.top = deepcopy(model)
        self.top.blocks = nn.Identity()
        self.top.patch_embed = nn.Identity()

    def forward(self, lower: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens at the cut to pooled features (B, F) and the last patches as (B, C, H, W)."""
        top = cast(Callable[[Tensor], Tensor], self.top.forward_head)
        norm = cast(nn.Module, self.top.norm)
        last_BLC = norm(self.blocks(lower))
        last_BCHW = last_BLC[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return top(last_BLC), last_BCHW

    def unused(self) -> list[Tensor]:
        """Weights that only the lower part reads: never to be trained here."""
        return [
            weight
            for name, weight in self.top.named_parameters()
            if not name.startswith(("norm.", "fc_norm.", "attn_pool."))
        ]


def make_timm(name: str, image_size: tuple[int, int], pretrained: bool = False) -> nn.Module:
    """A timm model without classifier. Raises MatcherError where timm has no such name."""
    size: dict[str, Any] = {"img_size": image_size} if _has_size(name) else {}
    try:
        return timm.create_model(name, pretrained, num_classes=0, **size)
    except (RuntimeError, OSError, ValueError) as error:
        raise MatcherError(f"timm model {name!r}: {error}") from error


def pixel_statistics(model: nn.Module) -> tuple[_Rgb, _Rgb]:
    """Mean and standard deviation of the model's own pretraining, for pixels in [0, 1]."""
    config: dict[str, Any] = resolve_model_data_config(model)
    return cast(_Rgb, tuple(config["mean"])), cast(_Rgb, tuple(config["std"]))


def load_weights(model: nn.Module, path: Path) -> None:
    """Copy a file's tensors into `model`: by name, or in order where the names are another port's.

    Ports of one architecture differ in names, not in order (a safetensors file keeps no order, so
    there the names count); every shape is checked, and a classifier is left out.

    Raises:
        MatcherError: the file is missing, damaged, or of another architecture.
    """
    is_ordered = path.suffix != ".safetensors"
    try:
        given = (
            torch.load(path, map_location="cpu", weights_only=True)
            if is_ordered
            else load_file(path)
        )
    except Exception as error:  # torch and safetensors raise many kinds; all become one line
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise MatcherError(f"{path}: cannot read the weights ({first})") from error
    mine = model.state_dict()
    if not mine.keys() <= given.keys() and is_ordered and len(given) - len(mine) in (0, 2):
        given = dict(zip(mine, given.values(), strict=False))
    for name, here in mine.items():
        if name not in given or here.shape != given[name].shape:
            there = tuple(given[name].shape) if name in given else "none"
            raise MatcherError(
                f"{path} is of another architecture: {name} is {tuple(here.shape)} here and "
                f"{there} there; {len(given)} tensors against {len(mine)}"
            )
    model.load_state_dict({name: given[name] for name in mine})


def split(model: nn.Module, trained_blocks: int | None) -> tuple[nn.Module, nn.Module, int]:
    """Cut a timm model: the frozen lower part, the upper part, and how many blocks are above.

    `None` trains the upper third. The last convolution and the pooling always lie above the cut.

    Raises:
        MatcherError: an architecture whose blocks we cannot tell, or more blocks than it has.
    """
    if hasattr(model, "blocks") and hasattr(model, "patch_embed"):
        blocks = list(cast(nn.Sequential, model.blocks))
        above = _above(trained_blocks, len(blocks))
        return TokenLower(model, blocks[:-above]), TokenUpper(model, blocks[-above:]), above
    stem, blocks, tail = _chain(model)
    above = _above(trained_blocks, len(blocks))
    cut = len(blocks) - above
    pool = model.head if isinstance(getattr(model, "head", None), nn.Module) else model.global_pool
    return (
        nn.Sequential(*stem, *blocks[:cut]),
        Upper(blocks[cut:], tail, cast(nn.Module, pool)),
        above,
    )


def _above(trained_blocks: int | None, blocks: int) -> int:
    if trained_blocks is None:
        return max(1, blocks // 3)
    if trained_blocks > blocks - 1:
        raise MatcherError(
            f"matcher.trained_blocks={trained_blocks}: the tower has {blocks} blocks and the "
            f"lowest stays frozen; give at most {blocks - 1}"
        )
    return trained_blocks


def _chain(model: nn.Module) -> tuple[list[nn.Module], list[nn.Module], list[nn.Module]]:
    """Stem, blocks and what follows them, of the convolutional architectures that we know."""
    parts = dict(model.named_children())
    if {"conv_stem", "bn1", "blocks", "conv_head", "bn2"} <= parts.keys():
        stem, tail = ["conv_stem", "bn1"], ["conv_head", "bn2"]
        stages = list(cast(nn.Sequential, parts["blocks"]))
    elif {"conv1", "layer1", "layer4"} <= parts.keys():
        stem, tail = ["conv1", "bn1", "act1", "maxpool"], []
        stages = [parts[f"layer{i}"] for i in range(1, 5)]
    elif {"stem", "stages"} <= parts.keys():
        stem, tail = ["stem"], ["norm_pre"]
        return [parts["stem"]], list(cast(nn.Sequential, parts["stages"])), _present(parts, tail)
    else:
        raise MatcherError(
            f"{type(model).__name__}: cannot tell its blocks; use an EfficientNet, ResNet, "
            "ConvNeXt or vision transformer"
        )
    blocks = [block for stage in stages for block in cast(nn.Sequential, stage)]
    return _present(parts, stem), blocks, _present(parts, tail)


def _present(parts: dict[str, nn.Module], names: list[str]) -> list[nn.Module]:
    return [parts[name] for name in names if name in parts]


def _has_size(name: str) -> bool:
    """Vision transformers are built for one picture size; convolutions take any."""
    config = timm.get_pretrained_cfg(name.removeprefix("hf-hub:").removeprefix("local-dir:"))
    return bool(config and config.fixed_input_size)
