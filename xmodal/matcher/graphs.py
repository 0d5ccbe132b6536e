"""The two towers as graphs that can leave torch: what they do hangs on shapes, never on values.

    ids, mask, words -> TextGraph -> unit vectors
    uint8 pixels ------> ImageGraph -> unit vectors (and patch tokens, for a reranker)

Both stand on a folded copy of the encoder, in which three parts are written anew with the same
outputs: bags of words, the text tower's short cuts, and matrix products that are convolutions.

Shapes: B texts or pictures, T tokens, W words, C H W image, D embedding, K = 16 patch tokens.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fast import fold
from xmodal.matcher.gemm_blocks import GemmUpper
from xmodal.matcher.image_tower import Upper, as_convolutions
from xmodal.matcher.inputs import Features
from xmodal.matcher.text_tower import TextTower

Shapes = dict[str, dict[int, str]]
_PROBES = ("red running shoes", "红色 连衣裙")


class TextGraph(nn.Module):
    """Tokens to unit vectors (B, D), float32."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = plain(encoder)
        tokens = encoder.inputs.texts(list(_PROBES))
        self.inputs = tuple(tokens)
        self.example = tuple(tokens.values())
        letter = {name: name[-1] for name in self.inputs}  # ids_BT, mask_BT, words_BW
        self.shapes: Shapes = {name: {0: "B", 1: letter[name]} for name in self.inputs}
        self.outputs = ("vector_BD",)

    def forward(self, *tokens: Tensor) -> Tensor:
        """In the order of `inputs`."""
        return self.encoder.encode_text(dict(zip(self.inputs, tokens, strict=True)))


class ImageGraph(nn.Module):
    """Pixels, uint8 (B, 3, H, W), to unit vectors (B, D) and, where asked, tokens (B, K, 128)."""

    def __init__(self, encoder: Encoder, with_tokens: bool = False) -> None:
        super().__init__()
        self.encoder = plain(encoder)
        self.with_tokens = with_tokens
        self.inputs = ("pixels_BCHW",)
        self.example = (torch.zeros(2, 3, *encoder.spec.image_size, dtype=torch.uint8),)
        self.shapes: Shapes = {"pixels_BCHW": {0: "B"}}
        self.outputs = ("vector_BD", "tokens_BKC")[: 1 + with_tokens]

    def forward(self, pixels_BCHW: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The vectors, or both."""
        features: Features = self.encoder.image_trunk(pixels_BCHW)
        if self.with_tokens:
            return self.encoder.image_head_and_tokens(features)
        return self.encoder.image_head(features)


Graph = TextGraph | ImageGraph


def plain(encoder: Encoder) -> Encoder:
    """A copy for inference, with the same outputs, whose every step hangs on shapes alone."""
    copy = fold(encoder)
    tuned, base = getattr(copy, "tuned", None), getattr(copy, "base", None)
    if isinstance(tuned, GemmUpper) and isinstance(base, Upper):
        copy.tuned = as_convolutions(base, tuned)
    _replace(copy, _plain_part)
    return copy.eval()


class _SummedRows(nn.Module):
    """An `EmbeddingBag` in mode sum, as rows added up; ONNX would loop over the bags."""

    def __init__(self, bag: nn.EmbeddingBag) -> None:
        super().__init__()
        self.weight = nn.Parameter(bag.weight.detach(), requires_grad=False)

    def forward(self, ids_BW: Tensor) -> Tensor:
        return nn.functional.embedding(ids_BW, self.weight).sum(1)


class _EveryText(nn.Module):
    """A `TextTower` that reads every text, also equal ones and those that are masked whole."""

    def __init__(self, tower: TextTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        known_B1 = mask_BT.sum(1, keepdim=True) > 0
        # An attention over no token at all would be no number.
        read_BT = torch.where(known_B1, mask_BT, torch.ones_like(mask_BT))
        sentence_BS = self.tower.mean(ids_BT, read_BT)
        return torch.where(known_B1, sentence_BS, torch.zeros_like(sentence_BS))


def _plain_part(part: nn.Module) -> nn.Module | None:
    if isinstance(part, nn.EmbeddingBag):
        return _SummedRows(part)
    if isinstance(part, TextTower):
        return _EveryText(part)
    return None


def _replace(module: nn.Module, made: Callable[[nn.Module], nn.Module | None]) -> None:
    for name, child in list(module.named_children()):
        other = made(child)
        if other is None:
            _replace(child, made)
        else:
            setattr(module, name, other)
