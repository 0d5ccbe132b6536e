"""The forward that ships: the same vectors as the plain one, at less cost on a CPU.

    batch norms folded into their convolutions | channels last | memory kept between batches |
    one thread a part of the batch, instead of all threads on every small operation

Shapes: B pictures, C H W image, D embedding, T = 16 patch tokens of 128.
"""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from xmodal.matcher.encoder import Encoder
from xmodal.matcher.inputs import Features

Out = TypeVar("Out")

# glibc's mallopt: keep up to 1 GiB of freed memory, and serve blocks below 1 GiB from it.
# Otherwise every activation is mapped and unmapped, and its pages are zeroed, in every batch.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEEP_BYTES = 1 << 30


class FastForward:
    """A frozen copy of an encoder's image tower for inference; it may be called by many threads."""

    def __init__(self, encoder: Encoder, threads: int = 1) -> None:
        """`threads` parts of each batch run side by side, each on one core."""
        keep_memory()
        self.encoder = fold(encoder)
        self._threads = threads
        self._pool = (
            ThreadPoolExecutor(threads, "forward", torch.set_num_threads, (1,))
            if threads > 1
            else None
        )

    def trunk(self, pixels_BCHW: Tensor) -> Features:
        """As `Encoder.image_trunk`."""
        parts = self._parts(self.encoder.image_trunk, pixels_BCHW)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def vectors(self, pixels_BCHW: Tensor) -> Tensor:
        """As `Encoder.encode_image`: unit vectors (B, D)."""
        return torch.cat(self._parts(self.encoder.encode_image, pixels_BCHW))

    def vectors_and_tokens(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (B, D) and patch tokens (B, 16, 128)."""
        parts = self._parts(self._both, pixels_BCHW)
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _both(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        return self.encoder.image_head_and_tokens(self.encoder.image_trunk(pixels_BCHW))

    def _parts(self, run: Callable[[Tensor], Out], pixels_BCHW: Tensor) -> list[Out]:
        """`run` over the batch, cut into as many parts as there are threads."""

        def one(part_BCHW: Tensor) -> Out:
            with torch.inference_mode():
                return run(part_BCHW)

        if self._pool is None or len(pixels_BCHW) < 2:
            return [one(pixels_BCHW)]
        return list(self._pool.map(one, pixels_BCHW.chunk(self._threads)))


def fast_forward(encoder: Encoder, threads: int = 1) -> FastForward:
    """The shipping forward of `encoder`'s image tower; the encoder itself is not changed."""
    return FastForward(encoder, threads)


def fold(encoder: Encoder) -> Encoder:
    """A copy for inference: batch norms folded into the convolutions before them, channels last."""
    copy = deepcopy(encoder).requires_grad_(False)
    copy.eval()
    for part in list(copy.modules()):
        for (_, conv), (name, norm) in pairwise(list(part.named_children())):
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                continue
            if conv.out_channels == norm.num_features:
                setattr(part, name, _folded(conv, norm))
    return copy.to(memory_format=torch.channels_last)


def keep_memory() -> bool:
    """Tell glibc to keep freed memory for the next batch; False where there is no glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    mallopt(_ARENA_MAX, 1)  # a heap of a thread's own ends at 64 MB; those that are there stay
    return all(mallopt(option, _KEEP_BYTES) == 1 for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module:
    """Fold `norm` into `conv` in place; what is left of it is its activation, if it has one."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight, bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    conv.bias = bias
    conv.requires_grad_(False)
    activation = getattr(norm, "act", None)  # timm's norm layers hold the activation after them
    return activation if isinstance(activation, nn.Module) else nn.Identity()
