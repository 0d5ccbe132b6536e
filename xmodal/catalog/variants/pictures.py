"""Variants of a picture that show the same product, in five severities each.

    decoded RGB -> noise, blur, JPEG, crop, occlusion, rotation, watermark -> RGB of the same size

AMOUNTS says what each severity means; lengths and areas are shares of the picture, so that
small and large ones suffer alike. In the manner of ImageNet-C (arXiv 1903.12261, section 4).
"""

import io
import random
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Picture = Image.Image
PictureVariant = Callable[[Picture, float, random.Random], Picture]

_WHITE = (255, 255, 255)

# Of each variant: what the number is, and the number at severity 1 to 5.
AMOUNTS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "noise": ("standard deviation, of 255", (8, 16, 24, 36, 52)),
    "blur": ("radius, % of the shorter side", (0.8, 1.6, 2.4, 3.6, 5.2)),
    "jpeg": ("quality, of 100", (50, 30, 20, 10, 5)),
    "crop": ("cut off, % of each length", (6, 12, 20, 30, 40)),
    "occlusion": ("covered, % of the area", (5, 10, 20, 30, 40)),
    "rotation": ("degrees", (5, 10, 15, 25, 45)),
    "watermark": ("opacity, %", (15, 30, 45, 60, 80)),
}


def vary_picture(picture: Picture, name: str, severity: int, seed: int) -> Picture:
    """The variant of that name and severity (1 to 5) of an RGB picture, at its own size.

    The same seed and picture size give the same places, signs and noise at every severity.
    """
    amount = AMOUNTS[name][1][severity - 1]
    return _VARIANTS[name](picture, amount, random.Random(f"{seed}:{name}"))


def _noise(picture: Picture, sd: float, rng: random.Random) -> Picture:
    pixels = np.asarray(picture, dtype=np.float32)
    drawn = np.random.default_rng(rng.getrandbits(32)).standard_normal(pixels.shape, np.float32)
    return Image.fromarray((pixels + sd * drawn).clip(0, 255).round().astype(np.uint8))


def _blur(picture: Picture, percent: float, _: random.Random) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(percent / 100 * min(picture.size)))


def _jpeg(picture: Picture, quality: float, _: random.Random) -> Picture:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=int(quality))
    return Image.open(out).convert("RGB")


def _crop(picture: Picture, percent: float, rng: random.Random) -> Picture:
    """A part of the picture from anywhere in it, enlarged to the whole."""
    share = percent / 100
    left, top = (rng.random() * share * side for side in picture.size)
    right, bottom = (side * (1 - share) for side in picture.size)
    box = (left, top, left + right, top + bottom)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box)


def _occlusion(picture: Picture, percent: float, rng: random.Random) -> Picture:
    """A grey rectangle of the picture's own aspect over some place of its middle half."""
    x, y = (side * (0.25 + 0.5 * rng.random()) for side in picture.size)
    half_x, half_y = (side * (percent / 100) ** 0.5 / 2 for side in picture.size)
    x = min(max(x, half_x), picture.width - half_x)  # it lies inside as a whole
    y = min(max(y, half_y), picture.height - half_y)
    covered = picture.copy()
    box = (round(x - half_x), round(y - half_y), round(x + half_x), round(y + half_y))
    ImageDraw.Draw(covered).rectangle(box, fill=(127, 127, 127))
    return covered


def _rotation(picture: Picture, degrees: float, rng: random.Random) -> Picture:
    sign = rng.choice((-1, 1))
    return picture.rotate(sign * degrees, Image.Resampling.BICUBIC, fillcolor=_WHITE)


def _watermark(picture: Picture, percent: float, rng: random.Random) -> Picture:
    """A word in grey, over and over along a diagonal, as picture agencies print it."""
    side = max(picture.size)
    layer = Image.new("L", (2 * side, 2 * side), 0)
    font = ImageFont.load_default(max(6, side // 6))
    draw = ImageDraw.Draw(layer)
    step = max(8, side // 3)
    shift = rng.randrange(step)
    for row, y in enumerate(range(0, 2 * side, step)):
        draw.text((-shift - row * step // 2, y), "SAMPLE  " * 8, fill=255, font=font)
    turned = layer.rotate(30, Image.Resampling.BILINEAR)
    left, top = (2 * side - picture.width) // 2, (2 * side - picture.height) // 2
    mark = turned.crop((left, top, left + picture.width, top + picture.height))
    faint = ImageEnhance.Brightness(mark).enhance(percent / 100)
    return Image.composite(Image.new("RGB", picture.size, (110, 110, 110)), picture, faint)


_VARIANTS: Mapping[str, PictureVariant] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "crop": _crop,
    "occlusion": _occlusion,
    "rotation": _rotation,
    "watermark": _watermark,
}
