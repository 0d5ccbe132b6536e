"""Which pixel statistics a base's weights were trained on, by other witnesses than its own files.

A folder's preprocessing file may be edited, lost or another model's; the architecture's name and
the libraries' defaults for it are not in that folder.
"""

from typing import cast

import timm

from xmodal.matcher.encoder import Encoder

Rgb = tuple[float, float, float]
# What OpenAI's CLIP was trained on, and every model that open_clip and transformers call `clip`.
CLIP_PIXELS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
SIGLIP_PIXELS = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def pretrained_pixels(encoder: Encoder) -> tuple[Rgb, Rgb] | None:
    """Mean and standard deviation of pixels in [0, 1] in pretraining; None where nobody knows."""
    spec = encoder.spec
    if spec.family == "towers":
        return _of_timm(spec.image_model)
    if spec.family == "transformers":
        if spec.image_model.startswith("siglip"):
            return SIGLIP_PIXELS
        return CLIP_PIXELS if "clip" in spec.image_model else None
    name, _, _ = spec.base.removeprefix("open_clip:").partition("@")
    trunk = _timm_name(encoder)
    if trunk is not None:
        return _of_timm(trunk)
    # A name with weights brings its own statistics, which open_clip keeps beside the weights.
    return CLIP_PIXELS if ":" in name or "/" in name else None


def distance(one: tuple[Rgb, Rgb], other: tuple[Rgb, Rgb]) -> float:
    """How far apart two normalisations put black and white: mean over channels, in spreads."""
    gaps = [
        abs((level - m) / s - (level - n) / t)
        for level in (0.0, 1.0)
        for m, s, n, t in zip(*one, *other, strict=True)
    ]
    return sum(gaps) / len(gaps)


def _of_timm(name: str) -> tuple[Rgb, Rgb] | None:
    config = timm.get_pretrained_cfg(name.removeprefix("hf-hub:").removeprefix("local-dir:"))
    return cast(tuple[Rgb, Rgb], (config.mean, config.std)) if config is not None else None


def _timm_name(encoder: Encoder) -> str | None:
    """The timm model under an open_clip one; None where the tower is open_clip's own."""
    document = getattr(encoder, "config", {})
    vision = document.get("model_cfg", {}).get("vision_cfg", {}) if document else {}
    name = vision.get("timm_model_name")
    return str(name) if name else None
