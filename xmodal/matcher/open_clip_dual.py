"""Any open_clip model: a name with weights, a hub id (`hf-hub:...`) or a folder laid out like it.

Saved as open_clip's own `open_clip_config.json` and tokenizer; the weights lie with the rest.

Shapes: B pictures or texts, C H W image, T tokens, D embedding.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import open_clip
from huggingface_hub import hf_hub_download
from torch import Tensor, nn

from xmodal.errors import MatcherError
from xmodal.matcher.dual import DualEncoder, trained_blocks
from xmodal.matcher.inputs import Features, Inputs
from xmodal.matcher.spec import EncoderSpec, Fit
from xmodal.matcher.text_tower import first_line
from xmodal.matcher.words import Vocabulary
from xmodal.settings import MatcherSettings

_CONFIG = "open_clip_config.json"
_PARTS = "open_clip"
_FITS: dict[str, Fit] = {"shortest": "crop", "longest": "pad", "squash": "stretch"}


class OpenClipTokens:
    """Tokens of an open_clip model: `ids_BT`, T its context length."""

    def __init__(self, tokenizer: object) -> None:
        self.tokenizer = tokenizer

    def __call__(self, texts: list[str]) -> Features:
        """Int64 ids of texts."""
        return {"ids_BT": self.tokenizer(texts)}  # type: ignore[operator]  # open_clip is untyped


class OpenClipImage(nn.Module):
    """The image tower: pixels to (B, D)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.visual = cast(nn.Module, model.visual)

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Vectors of any length."""
        out = self.visual(pixels_BCHW)
        return cast(Tensor, out[0] if isinstance(out, tuple) else out)


class OpenClipText(nn.Module):
    """What is left of a model without its image tower: ids to (B, D)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        del model.visual

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Vectors of any length."""
        return cast(Tensor, self.model.encode_text(ids_BT))  # type: ignore[operator]


class OpenClipDual(DualEncoder):
    """An open_clip model."""

    def __init__(
        self,
        spec: EncoderSpec,
        model: nn.Module,
        tokenizer: object,
        config: dict[str, object],
        vocabulary: Vocabulary,
    ) -> None:
        inputs = Inputs(spec, OpenClipTokens(tokenizer), vocabulary)
        self.tokenizer = tokenizer
        self.config = config
        super().__init__(spec, (OpenClipImage(model), OpenClipText(model)), inputs)

    def _text(self, tokens: Features) -> Tensor:
        return cast(Tensor, self.text(tokens["ids_BT"]))

    def save_parts(self, folder: Path) -> None:
        """open_clip's config, and tokenizer and text config where they are the hub's."""
        parts = folder / _PARTS
        parts.mkdir()
        (parts / _CONFIG).write_text(json.dumps(self.config, indent=1), encoding="utf-8")
        hub_tokenizer = getattr(self.tokenizer, "tokenizer", None)
        if hub_tokenizer is not None:
            hub_tokenizer.save_pretrained(parts)
        hub_text = getattr(getattr(self.text.model, "text", None), "config", None)
        if hub_text is not None:
            hub_text.save_pretrained(parts / "text")


def make_open_clip(settings: MatcherSettings, texts: Iterable[str]) -> OpenClipDual:
    """The model that `settings.base` names, with its weights.

    Raises:
        MatcherError: an unknown name, or weights that cannot be found or read.
    """
    name, _, weights = settings.base.removeprefix("open_clip:").partition("@")
    if Path(name).is_dir():
        name = f"local-dir:{name}"
    try:
        quick = _is_quick(name, weights)
        model = open_clip.create_model(
            name, weights or None, require_pretrained=True, force_quick_gelu=quick
        )
        tokenizer = open_clip.get_tokenizer(name)
        model_config = _model_config(name)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise MatcherError(f"matcher.base={settings.base!r}: {first_line(error)}") from error
    config: dict[str, object] = {
        "model_cfg": model_config | {"quick_gelu": quick},
        "preprocess_cfg": model.visual.preprocess_cfg,
    }
    vocabulary = Vocabulary.build(texts, settings.vocabulary)
    encoder = OpenClipDual(_spec(settings, model, config), model, tokenizer, config, vocabulary)
    encoder.set_scale(float(model.logit_scale.detach()))
    return encoder


def restore_open_clip(spec: EncoderSpec, vocabulary: Vocabulary, folder: Path) -> OpenClipDual:
    """The architecture that was saved in `folder`, its weights still random.

    Raises:
        MatcherError: a file of it is missing or damaged.
    """
    parts = folder / _PARTS
    name = f"local-dir:{parts}"
    try:
        config = json.loads((parts / _CONFIG).read_text(encoding="utf-8"))
        text = dict(config["model_cfg"]["text_cfg"])
        if "hf_model_name" in text:
            text |= {"hf_model_name": str(parts / "text"), "hf_model_pretrained": False}
        model = open_clip.create_model(
            name, load_weights=False, pretrained_text=False, text_cfg=text
        )
        tokenizer = open_clip.get_tokenizer(name)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise MatcherError(
            f"{parts}: {first_line(error)}; copy the matcher folder again"
        ) from error
    return OpenClipDual(spec, model, tokenizer, config, vocabulary)


def restore_open_clip_tokens(folder: Path) -> OpenClipTokens:
    """The tokenizer of what was saved in `folder`. Raises MatcherError where it cannot be read."""
    try:
        return OpenClipTokens(open_clip.get_tokenizer(f"local-dir:{folder / _PARTS}"))
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise MatcherError(
            f"{folder / _PARTS}: {first_line(error)}; copy the matcher folder again"
        ) from error


def _spec(settings: MatcherSettings, model: nn.Module, config: dict[str, object]) -> EncoderSpec:
    preprocess = cast(dict[str, object], config["preprocess_cfg"])
    return EncoderSpec(
        family="open_clip",
        base=settings.base,
        image_size=_size(preprocess["size"]),
        dim=cast(int, cast(dict[str, object], config["model_cfg"])["embed_dim"]),
        fit=_FITS[str(preprocess["resize_mode"])],
        interpolation="bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic",
        mean=_rgb(preprocess["mean"]),
        std=_rgb(preprocess["std"]),
        trained_blocks=trained_blocks(OpenClipImage(model), settings.trained_blocks),
        train_text=settings.train_text,
        dropout=settings.dropout,
    )


def _model_config(name: str) -> dict[str, object]:
    """The model's own config: open_clip's, the hub's or the folder's."""
    if name.startswith("local-dir:"):
        path = Path(name.removeprefix("local-dir:")) / _CONFIG
    elif name.startswith("hf-hub:"):
        path = Path(hf_hub_download(name.removeprefix("hf-hub:"), _CONFIG))
    else:
        config = open_clip.get_model_config(name.replace("/", "-"))
        if config is None:
            raise ValueError(f"open_clip has no model {name!r}")
        return dict(config)
    return dict(json.loads(path.read_text(encoding="utf-8"))["model_cfg"])


def _is_quick(name: str, weights: str) -> bool:
    """Whether the weights were trained with the quick GELU; the names alone do not tell."""
    tag = {} if ":" in name else open_clip.get_pretrained_cfg(name.replace("/", "-"), weights)
    return bool(_model_config(name).get("quick_gelu") or tag.get("quick_gelu"))


def _size(size: object) -> tuple[int, int]:
    if isinstance(size, int):
        return (size, size)
    height, width = cast(tuple[int, int], size)
    return (height, width)


def _rgb(values: object) -> tuple[float, float, float]:
    red, green, blue = cast(tuple[float, float, float], values)
    return (red, green, blue)
