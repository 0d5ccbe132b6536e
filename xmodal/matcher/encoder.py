"""The encoder: one interface for all families of two towers.

    pixels -> image_trunk (frozen, cached) -> image_head (trained) -> unit vector
    tokens -> text_trunk  (frozen, cached) -> text_head  (trained) -> unit vector

Shapes: B pictures or texts, C H W image, D embedding, T = 16 patch tokens of 128.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from math import log
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from xmodal.errors import MatcherError
from xmodal.matcher.inputs import Features, Inputs
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.tokens import ImageViews, PatchTokens
from xmodal.matcher.words import Vocabulary

_FIRST_SCALE = log(1 / 0.07)  # CLIP, arXiv 2103.00020, section 2.5


class Encoder(nn.Module, ABC):
    """Two towers. Batch normalisation never updates, and the frozen parts never drop out."""

    inputs: Inputs
    patch: PatchTokens
    log_scale: nn.Parameter

    def __init__(self, spec: EncoderSpec, inputs: Inputs) -> None:
        super().__init__()
        self.spec = spec
        self.inputs = inputs
        self.log_scale = nn.Parameter(torch.tensor(_FIRST_SCALE))
        self.register_buffer("_mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)

    @property
    def dim(self) -> int:
        """Size D of the shared space."""
        return self.spec.dim

    @property
    def vocabulary(self) -> Vocabulary:
        """The trained vocabulary of `words_BW`."""
        return self.inputs.vocabulary

    @abstractmethod
    def image_trunk(self, pixels_BCHW: Tensor) -> Features:
        """What lies below the lowest trained block, from uint8 pixels; fit for float16.

        Float pixels on the same scale, 0 to 255, that require a gradient get one.
        """

    @abstractmethod
    def text_trunk(self, tokens: Features) -> Features:
        """What lies below the trained part of the text tower, from `inputs.texts`."""

    @abstractmethod
    def text_head(self, features: Features) -> Tensor:
        """Unit vectors (B, D), float32, of what `text_trunk` gave."""

    @abstractmethod
    def image_views(self, features: Features) -> ImageViews:
        """The unit vectors of `image_head`, and the features that patch tokens are made of."""

    @abstractmethod
    def save_parts(self, folder: Path) -> None:
        """Write what weights, spec and vocabulary do not hold (tokenizer, configs)."""

    def settle(self, features: Features) -> None:
        """Set, before training, what depends on the trunk's features of train pictures."""

    def unfold(self) -> None:
        """Before training: give the trained parts the layers that adapters know."""

    def fold(self) -> None:
        """After training: undo `unfold`, keeping what was learnt."""

    def image_head(self, features: Features) -> Tensor:
        """Unit vectors (B, D), float32, of what `image_trunk` gave."""
        return self.image_views(features).vector_BD

    def image_head_and_tokens(self, features: Features) -> tuple[Tensor, Tensor]:
        """`image_head` and `patch_tokens` of the same features, for the price of one."""
        views = self.image_views(features)
        return views.vector_BD, self.patch(views)

    def patch_tokens(self, features: Features) -> Tensor:
        """The reranker's view of the pictures, (B, 16, 128), float32."""
        return self.image_head_and_tokens(features)[1]

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D) of uint8 pixels."""
        return self.image_head(self.image_trunk(pixels_BCHW))

    def encode_text(self, tokens: Features) -> Tensor:
        """Unit vectors (B, D) of `inputs.texts(...)`."""
        return self.text_head(self.text_trunk(tokens))

    def forward(self, text: Features, image: Features) -> tuple[Tensor, Tensor, Tensor]:
        """The trained part: trunk features of B pairs to (B, D), (B, D) and the log scale."""
        return self.text_head(text), self.image_head(image), self.log_scale

    def train(self, mode: bool = True) -> Self:
        """As torch's, but frozen parts and batch normalisation stay in inference mode."""
        super().train(mode)
        for part in self.modules():
            needs_grad = [weight.requires_grad for weight in part.parameters()]
            is_frozen = part is not self and needs_grad and not any(needs_grad)
            if is_frozen or isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm):
                part.eval()
        return self

    def trained_state(self) -> dict[str, Tensor]:
        """Weights that training changes, by name: what a checkpoint has to hold."""
        return {
            name: weight.detach()
            for name, weight in self.named_parameters()
            if weight.requires_grad
        }

    def load_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `trained_state` gave. Raises MatcherError where the names differ."""
        mine = self.trained_state()
        if mine.keys() != state.keys():
            odd = sorted(mine.keys() ^ state.keys())
            raise MatcherError(f"a checkpoint of another encoder: {odd[0]} and {len(odd)} names")
        for name, weight in mine.items():
            weight.copy_(state[name])

    def normalise(self, pixels_BCHW: Tensor) -> Tensor:
        """Float32 pixels as the image tower expects them, channels last in memory."""
        check_shape(pixels_BCHW, (-1, 3, *self.spec.image_size), "pixels")
        pixels = pixels_BCHW.to(torch.float32, memory_format=torch.channels_last)
        mean: Tensor = self.get_buffer("_mean")
        std: Tensor = self.get_buffer("_std")
        return (pixels - 255 * mean) / (255 * std)


def frozen_unless(pixels_BCHW: Tensor) -> AbstractContextManager[None]:
    """No gradient through frozen parts, unless it is the pixels' own that is asked for."""
    return torch.set_grad_enabled(pixels_BCHW.requires_grad and torch.is_grad_enabled())


def check_shape(tensor: Tensor, shape: tuple[int, ...], name: str) -> None:
    """Raise MatcherError unless `tensor` has `shape`, where -1 stands for any size."""
    fits = tensor.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        raise MatcherError(f"{name} has shape {tuple(tensor.shape)}, not {shape} (-1: any size)")


def train_used(module: nn.Module, run: Callable[[], Tensor]) -> None:
    """Let exactly those weights of `module` be trained that have a say in `run`'s output.

    Weights that get no gradient would stop distributed training.
    """
    module.requires_grad_(True)
    with torch.enable_grad():
        run().float().sum().backward()
    for weight in module.parameters():
        weight.requires_grad_(weight.grad is not None)
        weight.grad = None
