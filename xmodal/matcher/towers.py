"""Towers: any timm image tower beside any transformers text tower; the offline default.

    pixels -> lower blocks -> activations -+-> tuned upper blocks -+-> ImageHead -> (B, D)
                                           +-> base upper blocks  -+
                                           +-> pooled as they are -+
    tokens -> sentence model ----------------> sentence -+-> TextHead -> (B, D)
    words ------------------------------------------------+

Shapes: B pictures or texts, C H W image, F image features, S sentence features, W words.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize
from transformers import PreTrainedTokenizerBase

from xmodal.matcher import offline
from xmodal.matcher.encoder import Encoder, frozen_unless, train_used
from xmodal.matcher.heads import ImageHead, LinearHead, TextHead
from xmodal.matcher.image_tower import (
    TokenUpper,
    Upper,
    load_weights,
    make_timm,
    pixel_statistics,
    split,
)
from xmodal.matcher.inputs import Features, Inputs, derive_image_size
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.text_tower import SentenceTokens, TextTower, load_text, restore_text, save_text
from xmodal.matcher.tokens import ImageViews, PatchTokens
from xmodal.matcher.words import Vocabulary
from xmodal.settings import MatcherSettings

_GRID = (4, 3)
_CELL_SHARE = 1 / 3  # of the dropout: a cell holds more than a feature


class Towers(Encoder):
    """Separate towers. The base tower's pooled features stay beside the tuned ones."""

    def __init__(
        self,
        spec: EncoderSpec,
        image_model: nn.Module,
        text: TextTower,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: Vocabulary,
    ) -> None:
        super().__init__(spec, Inputs(spec, SentenceTokens(tokenizer, spec.max_tokens), vocabulary))
        self.tokenizer = tokenizer
        self.lower, self.base, _ = split(image_model, spec.trained_blocks)
        self.tuned: nn.Module = nn.Identity()
        self.text = text
        for frozen in (self.lower, self.base, self.text):
            frozen.requires_grad_(False)
        if spec.train_text:
            probe = torch.ones(1, 2, dtype=torch.long)  # any ids: what matters is what they reach
            train_used(self.text, lambda: self.text(probe, probe))
        self.features, channels, lower = self._measure()
        if self.is_tuned:
            self.tuned = _for_training(self.base, lower)
        pooled = _pooled(lower).shape[1]
        self.patch = PatchTokens(channels, spec.dim, self.features, self.features + pooled)
        self.image_out: nn.Module
        self.text_out: nn.Module
        if spec.head == "linear":
            self.image_out = LinearHead(self.features, spec.dim)
            self.text_out = LinearHead(text.width, spec.dim)
        else:
            copies = 2 if self.is_tuned else 1
            width = copies * self.features + pooled
            self.image_out = ImageHead(width, spec.dim, spec.dropout)
            self.text_out = TextHead(text.width, len(vocabulary), spec.dim, spec.dropout)
        self.eval()

    @property
    def is_tuned(self) -> bool:
        """Whether a tuned copy of the upper blocks stands beside the base tower's."""
        return self.spec.trained_blocks > 0 and self.spec.head == "tuned"

    def with_linear_heads(self, dim: int) -> "Towers":
        """A copy on the same trunks, cut at the same block, whose heads are linear and unset."""
        copy = deepcopy(self)
        copy.spec = replace(self.spec, head="linear", dim=dim, train_text=False, dropout=0.0)
        copy.inputs = Inputs(copy.spec, self.inputs.tokenise, self.inputs.vocabulary)
        copy.tuned = nn.Identity()
        copy.text.requires_grad_(False)
        copy.image_out = LinearHead(self.features, dim)
        copy.text_out = LinearHead(self.text.width, dim)
        old = self.patch
        copy.patch = PatchTokens(len(old.map_mean), dim, len(old.tuned_mean), len(old.base_mean))
        return copy.eval()

    def image_trunk(self, pixels_BCHW: Tensor) -> Features:
        """`lower`, the activations at the cut, and `base_BF`, the untuned pooled features."""
        with frozen_unless(pixels_BCHW):
            lower = self.lower(self.normalise(pixels_BCHW))
            base_BF, _ = self.base(lower)
            return {"lower": lower, "base_BF": base_BF}

    def image_head(self, features: Features) -> Tensor:
        """Unit vectors (B, D); linear heads need no map, so no block runs for them."""
        if self.spec.head == "linear":
            vector_BD: Tensor = self.image_out(features["base_BF"].float())
            return vector_BD
        return super().image_head(features)

    def image_views(self, features: Features) -> ImageViews:
        """Vectors and the features of both towers."""
        lower, base_BF = features["lower"].float(), features["base_BF"].float()
        if not self.is_tuned:
            with torch.no_grad():
                _, last_BCHW = self.base(lower)
            frozen_BF = torch.cat([base_BF, _pooled(lower)], dim=1)
            vector_BD = self.image_out(base_BF if self.spec.head == "linear" else frozen_BF)
            return ImageViews(vector_BD, base_BF, frozen_BF, last_BCHW)
        share = self._varied_share()
        if share:
            lower = _half_mirrored(lower)
        frozen_BF = torch.cat([base_BF, _pooled(lower)], dim=1)
        tuned_BF, last_BCHW = self.tuned(_without_cells(lower, share) if share else lower)
        vector_BD = self.image_out(torch.cat([tuned_BF, frozen_BF], dim=1))
        if self.spec.mirrored and not self.training and lower.ndim == 4:
            vector_BD = normalize(vector_BD + self._mirror_vector(lower.flip(3), base_BF), dim=1)
        return ImageViews(vector_BD, tuned_BF, frozen_BF, last_BCHW)

    def _mirror_vector(self, lower: Tensor, base_BF: Tensor) -> Tensor:
        """The vector (B, D) of pictures whose activations at the cut were mirrored."""
        tuned_BF, _ = self.tuned(lower)
        vector_BD: Tensor = self.image_out(torch.cat([tuned_BF, base_BF, _pooled(lower)], dim=1))
        return vector_BD

    def settle(self, features: Features) -> None:
        """Standardise the image head's input by the trunk's features of train pictures."""
        if isinstance(self.image_out, ImageHead):
            lower, base_BF = features["lower"].float(), features["base_BF"].float()
            # Before training the tuned blocks give what the base gives.
            parts = [base_BF] * (2 if self.is_tuned else 1)
            self.image_out.settle(torch.cat([*parts, _pooled(lower)], dim=1))

    def unfold(self) -> None:
        """The tuned blocks as the layers that they were, not as products; weights of the base."""
        if self.is_tuned:
            self.tuned = _as_tuned(deepcopy(self.base))

    def fold(self) -> None:
        """The tuned blocks in the form in which they are trained whole, and saved."""
        if self.is_tuned:
            self.tuned = _for_training(self.tuned, self._measure()[2])

    def _varied_share(self) -> float:
        """Share of cells that training drops; 0 in inference, and where nothing is dropped."""
        out = self.image_out
        return out.dropout.p * _CELL_SHARE if self.training and isinstance(out, ImageHead) else 0.0

    def text_trunk(self, tokens: Features) -> Features:
        """`sentence_BS` (or the tokens as they are, where the text is trained) and `words_BW`."""
        if self.spec.train_text:
            return tokens
        with torch.no_grad():
            sentence_BS = self.text(tokens["ids_BT"], tokens["mask_BT"])
        return {"sentence_BS": sentence_BS, "words_BW": tokens["words_BW"]}

    def text_head(self, features: Features) -> Tensor:
        """Unit vectors (B, D), float32, of what `text_trunk` gave."""
        sentence_BS = self.sentence(features)
        if self.spec.head == "linear":
            return cast(Tensor, self.text_out(sentence_BS))
        return cast(Tensor, self.text_out(sentence_BS, features["words_BW"]))

    def sentence(self, features: Features) -> Tensor:
        """The sentence model's features (B, S) of what `text_trunk` gave."""
        if "sentence_BS" in features:
            return features["sentence_BS"].float()
        return cast(Tensor, self.text(features["ids_BT"], features["mask_BT"]))

    def save_parts(self, folder: Path) -> None:
        """The text model's config and the tokenizer."""
        save_text(self.text, self.tokenizer, folder)

    def _measure(self) -> tuple[int, int, Tensor]:
        """Pooled features F, channels of the last map, and the activations at the cut."""
        self.eval()
        with torch.no_grad():
            black = torch.zeros(1, 3, *self.spec.image_size)
            lower = self.lower(black)
            pooled_BF, last_BCHW = self.base(lower)
        return pooled_BF.shape[1], last_BCHW.shape[1], lower


def _for_training(base: nn.Module, lower: Tensor) -> nn.Module:
    """The copy of the base's upper blocks that is tuned."""
    if isinstance(base, Upper) and lower.ndim == 4:
        return base.for_training((lower.shape[2], lower.shape[3])).requires_grad_(True)
    return _as_tuned(deepcopy(base))


def _as_tuned(blocks: nn.Module) -> nn.Module:
    blocks.requires_grad_(True)
    if isinstance(blocks, TokenUpper):
        for weight in blocks.unused():
            weight.requires_grad_(False)
    return blocks


def _pooled(lower: Tensor) -> Tensor:
    """Activations at the cut as features (B, F): maxima, and means over a grid of 4 x 3."""
    if lower.ndim == 3:
        return torch.cat([lower.amax(1), lower.mean(1)], dim=1)
    return torch.cat([lower.amax((2, 3)), adaptive_avg_pool2d(lower, _GRID).flatten(1)], dim=1)


def make_towers(
    settings: MatcherSettings, texts: Iterable[str], pictures: Sequence[bytes] = ()
) -> Towers:
    """The towers that `settings.base` names: `offline` or `towers:TIMM[@FILE]+TEXT`; untuned.

    Raises:
        MatcherError: weights that cannot be found or read.
    """
    named, _, text_source = settings.base.removeprefix("towers:").partition("+")
    name, _, weights = named.partition("@")
    if settings.base == "offline":
        name, weights = offline.IMAGE_MODEL, str(offline.image_weights())
        text_source = str(offline.text_folder())
    image_size = settings.image_size or derive_image_size(pictures)
    model = make_timm(name, image_size, pretrained=not weights)
    if weights:
        load_weights(model, Path(weights))
    text, tokenizer = load_text(text_source)
    mean, std = pixel_statistics(model)
    spec = EncoderSpec(
        family="towers",
        base=settings.base,
        dim=settings.dim,
        image_size=image_size,
        mean=mean,
        std=std,
        trained_blocks=split(model, settings.trained_blocks)[2],
        train_text=settings.train_text,
        dropout=settings.dropout,
        image_model=name,
        mirrored=True,
    )
    return Towers(spec, model, text, tokenizer, Vocabulary.build(texts, settings.vocabulary))


def restore_towers(spec: EncoderSpec, vocabulary: Vocabulary, folder: Path) -> Towers:
    """The architecture that was saved in `folder`, its weights still random."""
    text, tokenizer = restore_text(folder)
    return Towers(spec, make_timm(spec.image_model, spec.image_size), text, tokenizer, vocabulary)


def _half_mirrored(lower: Tensor) -> Tensor:
    """Half of the maps, at random, left to right: near enough to the mirrored picture's."""
    if lower.ndim != 4:
        return lower
    is_mirrored = torch.rand(len(lower), 1, 1, 1, device=lower.device) < 0.5
    return torch.where(is_mirrored, lower.flip(3), lower)


def _without_cells(lower: Tensor, share: float) -> Tensor:
    """Maps with a share of their cells zeroed, the others scaled up."""
    if lower.ndim != 4:
        return lower
    kept = torch.rand(len(lower), 1, *lower.shape[2:], device=lower.device) >= share
    return lower * kept / (1 - share)
