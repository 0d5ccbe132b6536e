"""Dual encoders: models whose two towers share a space already. What both hub families have alike.

    pixels -> lower blocks -> activations -> tuned copy of the upper blocks -> (B, D)
                                       +---> the model as it is ------------> (B, D), zero-shot
    tokens -> text tower -> (B, D) + words of the trained vocabulary, at first nothing

An untuned dual encoder gives the zero-shot vectors: that is its base.

Shapes: B pictures or texts, C H W image or map, L tokens of a vision transformer, D embedding.
"""

from abc import abstractmethod
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass
from math import log, sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder, frozen_unless, train_used
from xmodal.matcher.inputs import Features, Inputs
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.tokens import ImageViews, PatchTokens

_MAX_SCALE = log(100)  # CLIP, arXiv 2103.00020, section 2.5


@dataclass
class Tap:
    """Reads the activations at the cut and the last map of one forward, or replaces the first."""

    at_cut: Tensor | None = None
    replaces: bool = False
    last: Tensor | None = None


# One a thread: two threads may run the same model.
_TAP: ContextVar[Tap | None] = ContextVar("tap", default=None)


class TappedTower(nn.Module):
    """An image model, pixels to (B, D), whose forward can be read or resumed at a block.

    Works for any model that has its blocks in one list, whatever happens before and after it.
    """

    def __init__(self, model: nn.Module, above: int) -> None:
        super().__init__()
        self.model = model
        blocks = find_blocks(model)
        blocks[len(blocks) - max(above, 1)].register_forward_pre_hook(_at_cut, with_kwargs=True)
        blocks[-1].register_forward_hook(_at_last)

    def read(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Activations at the cut, the model's output (B, D) and its last activations."""
        tap = Tap()
        out_BD = self._run(pixels_BCHW, tap)
        assert tap.at_cut is not None
        assert tap.last is not None
        return tap.at_cut, out_BD, tap.last

    def resume(self, at_cut: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The output (B, D) and the last activations, from the activations at the cut.

        What lies below runs on one black picture, and its result is thrown away.
        """
        tap = Tap(at_cut, replaces=True)
        out_BD = self._run(at_cut.new_zeros(1, 3, *size), tap)
        assert tap.last is not None
        return out_BD, tap.last

    def without_lower(self, above: int) -> "TappedTower":
        """A copy that holds only the upper blocks: good for `resume` alone."""
        copy = deepcopy(self)
        replace_blocks(copy.model, find_blocks(copy.model)[-above:])
        return copy

    def _run(self, pixels_BCHW: Tensor, tap: Tap) -> Tensor:
        token = _TAP.set(tap)
        try:
            return cast(Tensor, self.model(pixels_BCHW))
        finally:
            _TAP.reset(token)


class DualEncoder(Encoder):
    """A dual encoder. The families give the two models and the tokenizer."""

    def __init__(
        self, spec: EncoderSpec, models: tuple[nn.Module, nn.Module], inputs: Inputs
    ) -> None:
        super().__init__(spec, inputs)
        image, self.text = models
        self.base = TappedTower(image, spec.trained_blocks)
        self.words = nn.EmbeddingBag(len(inputs.vocabulary), spec.dim, mode="sum", padding_idx=0)
        nn.init.zeros_(self.words.weight)
        self.eval()
        black_BCHW = torch.zeros(1, 3, *spec.image_size)
        with torch.no_grad():
            at_cut, out_BD, last = self.base.read(black_BCHW)
        self.patch = PatchTokens(
            _as_map(last, spec.image_size).shape[1], spec.dim, out_BD.shape[1], out_BD.shape[1]
        )
        self.base.requires_grad_(False)
        self.tuned: nn.Module = nn.Identity()
        if spec.trained_blocks:
            self.tuned = self.base.without_lower(spec.trained_blocks)
            train_used(self.tuned, lambda: self._upper(at_cut)[0])
        self.text.requires_grad_(False)
        if spec.train_text:
            tokens = inputs.texts(["a"])
            train_used(self.text, lambda: self._text(tokens))
        self.eval()

    @abstractmethod
    def _text(self, tokens: Features) -> Tensor:
        """The text tower's vectors (B, D), of any length."""

    def image_trunk(self, pixels_BCHW: Tensor) -> Features:
        """`base_BF`, the zero-shot vectors, and `lower`, the activations at the cut.

        Where no block is trained, `lower` is the last activations.
        """
        with frozen_unless(pixels_BCHW):
            at_cut, out_BD, last = self.base.read(self.normalise(pixels_BCHW))
        return {"lower": at_cut if self.spec.trained_blocks else last, "base_BF": out_BD.float()}

    def image_views(self, features: Features) -> ImageViews:
        """Vectors, and the tower's last map."""
        lower, base_BF = features["lower"].float(), features["base_BF"].float()
        if not self.spec.trained_blocks:
            tuned_BF, last = base_BF, lower
        else:
            tuned_BF, last = self._upper(lower)
        map_BCHW = _as_map(last, self.spec.image_size)
        return ImageViews(normalize(tuned_BF, dim=1), tuned_BF, base_BF, map_BCHW)

    def text_trunk(self, tokens: Features) -> Features:
        """`sentence_BS`, the text tower's vectors (or the tokens, where it is trained)."""
        if self.spec.train_text:
            return tokens
        with torch.no_grad():
            return {"sentence_BS": self._text(tokens).float(), "words_BW": tokens["words_BW"]}

    def text_head(self, features: Features) -> Tensor:
        """Unit vectors (B, D) of the text tower plus the words' trained vectors."""
        if self.spec.train_text:
            sentence_BD = self._text(features).float()
        else:
            sentence_BD = features["sentence_BS"].float()
        return normalize(normalize(sentence_BD, dim=1) + self.words(features["words_BW"]), dim=1)

    def set_scale(self, log_scale: float) -> None:
        """Start from the model's own temperature, at most 1 / 100."""
        self.log_scale.data.fill_(min(log_scale, _MAX_SCALE))

    def _upper(self, at_cut: Tensor) -> tuple[Tensor, Tensor]:
        return cast(TappedTower, self.tuned).resume(at_cut, self.spec.image_size)


def find_blocks(model: nn.Module) -> list[nn.Module]:
    """The model's longest list of blocks of one kind. Raises MatcherError where there is none."""
    return list(_find(model)[1])


def replace_blocks(model: nn.Module, blocks: list[nn.Module]) -> None:
    """Put `blocks` in the place of those that `find_blocks` finds, in a list of the same kind."""
    name, old = _find(model)
    kept = type(old)(*blocks) if isinstance(old, nn.Sequential) else nn.ModuleList(blocks)
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, kept)


def trained_blocks(model: nn.Module, wanted: int | None) -> int:
    """How many upper blocks to train: a quarter where it is not said, at most all but one."""
    blocks = len(find_blocks(model))
    if wanted is None:
        return max(1, blocks // 4)
    if wanted >= blocks:
        raise MatcherError(
            f"matcher.trained_blocks={wanted}: the image tower has {blocks} blocks and the lowest "
            f"stays frozen; give at most {blocks - 1}"
        )
    return wanted


def _find(model: nn.Module) -> tuple[str, nn.Sequential | nn.ModuleList]:
    best: tuple[str, nn.Sequential | nn.ModuleList] | None = None
    for name, part in model.named_modules():
        if not isinstance(part, nn.Sequential | nn.ModuleList) or len(part) < 2:
            continue
        alike = len({type(block) for block in part}) == 1
        if alike and (best is None or len(part) > len(best[1])):
            best = name, part
    if best is None:
        raise MatcherError(f"{type(model).__name__}: cannot tell the image tower's blocks")
    return best


def _at_cut(
    _block: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]] | None:
    tap = _TAP.get()
    if tap is None:
        return None
    if not tap.replaces:
        tap.at_cut = args[0] if args else kwargs["hidden_states"]
        return None
    assert tap.at_cut is not None
    if args:
        return (tap.at_cut, *args[1:]), kwargs
    return args, kwargs | {"hidden_states": tap.at_cut}


def _at_last(
    _block: nn.Module, _args: tuple[Tensor, ...], out: Tensor | tuple[Tensor, ...]
) -> None:
    tap = _TAP.get()
    if tap is not None:
        tap.last = out if isinstance(out, Tensor) else out[0]


def _as_map(last: Tensor, size: tuple[int, int]) -> Tensor:
    """A vision transformer's tokens (B, L, C) as a map (B, C, H, W), without prefix tokens."""
    if last.ndim == 4:
        return last.float()
    height = int(sqrt(last.shape[1] * size[0] / size[1]))
    width = int(last.shape[1] / height)
    patches_BLC = last[:, last.shape[1] - height * width :]
    map_BCHW: Tensor = patches_BLC.transpose(1, 2).unflatten(2, (height, width))
    return map_BCHW.float()
