"""Any transformers dual encoder: Chinese-CLIP, SigLIP, SigLIP 2, CLIP, by hub id or folder.

Shapes: B pictures or texts, C H W image, T tokens, D embedding.
"""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from xmodal.errors import MatcherError
from xmodal.matcher.dual import DualEncoder, trained_blocks
from xmodal.matcher.inputs import Features, Inputs
from xmodal.matcher.spec import EncoderSpec
from xmodal.matcher.text_tower import first_line
from xmodal.matcher.words import Vocabulary
from xmodal.settings import MatcherSettings

_IMAGE_PARTS = ("vision_model", "visual_projection")
_TEXT_PARTS = ("text_model", "text_projection")
_MAX_TOKENS = 77


class HubTokens:
    """Tokens of a hub model: `ids_BT`, and `mask_BT` where the model was trained with one."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_tokens: int, is_siglip: bool
    ) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.is_siglip = is_siglip

    def __call__(self, texts: list[str]) -> Features:
        """Int64 ids and mask of texts."""
        batch = self.tokenizer(
            texts,
            # SigLIP reads its last position and was trained without a mask, on full length.
            padding="max_length" if self.is_siglip else "longest",
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        if self.is_siglip:
            return {"ids_BT": batch["input_ids"]}
        return {"ids_BT": batch["input_ids"], "mask_BT": batch["attention_mask"]}


class HubImage(nn.Module):
    """A hub model without its text tower: pixels to (B, D)."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = _without(model, _TEXT_PARTS)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Vectors of any length."""
        return _pooled(self.model.get_image_features(pixel_values=pixels_BCHW))  # type: ignore[operator]


class HubText(nn.Module):
    """A hub model without its image tower: ids to (B, D)."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = _without(model, _IMAGE_PARTS)

    def forward(self, ids_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        """Vectors of any length."""
        read = self.model.get_text_features
        return _pooled(read(input_ids=ids_BT, attention_mask=mask_BT))  # type: ignore[operator]


class HubDual(DualEncoder):
    """A transformers dual encoder."""

    def __init__(
        self,
        spec: EncoderSpec,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        vocabulary: Vocabulary,
    ) -> None:
        is_siglip = str(model.config.model_type).startswith("siglip")
        tokens = HubTokens(tokenizer, spec.max_tokens, is_siglip)
        self.tokenizer = tokenizer
        self.config = model.config
        models = HubImage(model), HubText(model)
        super().__init__(spec, models, Inputs(spec, tokens, vocabulary))

    def _text(self, tokens: Features) -> Tensor:
        return cast(Tensor, self.text(tokens["ids_BT"], tokens.get("mask_BT")))

    def save_parts(self, folder: Path) -> None:
        """The model's config and the tokenizer, as the hub lays them out."""
        self.config.save_pretrained(folder / "model")
        self.tokenizer.save_pretrained(folder / "tokenizer")


def make_transformers(settings: MatcherSettings, texts: Iterable[str]) -> HubDual:
    """The model that `settings.base` names, with its weights.

    Raises:
        MatcherError: no such folder or hub model, no dual encoder, or files that cannot be read.
    """
    source = settings.base.removeprefix("transformers:")
    is_local = Path(source).is_dir()
    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(source, local_files_only=is_local)
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=is_local)
        processor = AutoImageProcessor.from_pretrained(source, local_files_only=is_local)
    except (OSError, ValueError, KeyError) as error:
        raise MatcherError(f"matcher.base={settings.base!r}: {first_line(error)}") from error
    if not hasattr(model, "vision_model") or not hasattr(model, "get_text_features"):
        raise MatcherError(
            f"matcher.base={settings.base!r}: {type(model).__name__} has no two towers"
        )
    side = int(model.config.vision_config.image_size)
    image = HubImage(model)
    spec = EncoderSpec(
        family="transformers",
        base=settings.base,
        image_size=(side, side),
        dim=_dim(image, side),
        fit="crop" if getattr(processor, "do_center_crop", False) else "stretch",
        interpolation="bilinear" if int(processor.resample) == 2 else "bicubic",
        mean=tuple(processor.image_mean),
        std=tuple(processor.image_std),
        trained_blocks=trained_blocks(image, settings.trained_blocks),
        train_text=settings.train_text,
        dropout=settings.dropout,
        image_model=str(model.config.model_type),
        max_tokens=min(_MAX_TOKENS, int(model.config.text_config.max_position_embeddings)),
    )
    encoder = HubDual(spec, model, tokenizer, Vocabulary.build(texts, settings.vocabulary))
    encoder.set_scale(float(model.logit_scale.detach()))
    return encoder


def restore_transformers(spec: EncoderSpec, vocabulary: Vocabulary, folder: Path) -> HubDual:
    """The architecture that was saved in `folder`, its weights still random.

    Raises:
        MatcherError: a file of it is missing or damaged.
    """
    try:
        config = AutoConfig.from_pretrained(folder / "model", local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise MatcherError(
            f"{folder}: cannot read model/ or tokenizer/ ({first_line(error)}); "
            "copy the matcher folder again"
        ) from error
    return HubDual(spec, AutoModel.from_config(config), tokenizer, vocabulary)


def _without(model: PreTrainedModel, parts: tuple[str, ...]) -> nn.Module:
    """A copy of the model less one tower."""
    half = deepcopy(model)
    for part in parts:
        if hasattr(half, part):
            delattr(half, part)
    return cast(nn.Module, half)


def _pooled(out: Tensor | object) -> Tensor:
    """transformers 5 wraps the projected vector in an output; 4 gave it as it is."""
    return out if isinstance(out, Tensor) else cast(Tensor, out.pooler_output)  # type: ignore[attr-defined]


def _dim(image: nn.Module, side: int) -> int:
    with torch.no_grad():
        return int(image(torch.zeros(1, 3, side, side)).shape[1])
