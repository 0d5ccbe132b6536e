"""The photograph: backdrop, shadow, light, lens and grain around a drawn product."""

from io import BytesIO
from math import radians
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

from xmodal.catalog.demo.canvas import Canvas, Pose
from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.kinds import KINDS
from xmodal.catalog.demo.paints import Paints
from xmodal.catalog.demo.palette import Colour, mix

SIZE = 176  # pixels of the finished picture
_DRAWN = 2 * SIZE  # drawn twice as large, then shrunk: smooth edges
_QUALITY = 88

_WALLS: tuple[Colour, ...] = (
    (246, 244, 240),
    (236, 238, 242),
    (250, 238, 226),
    (226, 236, 230),
    (242, 228, 232),
    (224, 230, 244),
    (226, 216, 204),
    (204, 216, 226),
    (190, 178, 170),
    (238, 224, 176),
)


def photograph(design: Design, rng: Random) -> bytes:
    """A JPEG of the product, `SIZE` pixels square: another pose, place and light at every call."""
    pose = _pose(rng)
    canvas = Canvas(_DRAWN, pose, Paints(design, _DRAWN, pose.turn, rng))
    KINDS[design.kind].draw(canvas, dict(design.parts))
    picture = _backdrop(rng)
    _cast_shadow(picture, canvas.alpha, pose, rng)
    picture.paste(canvas.colour, mask=canvas.alpha)
    return _exposed(picture.reduce(2), rng)


def _pose(rng: Random) -> Pose:
    return Pose(
        turn=radians(rng.gauss(0, 7)),
        scale=rng.uniform(0.7, 0.93),
        shift=(rng.uniform(-0.1, 0.1), rng.uniform(-0.08, 0.08)),
        lean=rng.gauss(0, 0.05),
        mirrored=rng.random() < 0.5,
        light=(rng.choice((-1.0, -0.6, 0.6, 1.0)), rng.uniform(-1.0, -0.4)),
    )


def _backdrop(rng: Random) -> Image.Image:
    wall = rng.choice(_WALLS)
    make = rng.choice((_fading, _floor, _spot, _arch, _fading, _tiles))
    return make(wall, rng)


def _fading(wall: Colour, rng: Random) -> Image.Image:
    low = mix(wall, (120, 116, 120), rng.uniform(0.02, 0.2))
    return _blend(wall, low, Image.linear_gradient("L"))


def _floor(wall: Colour, rng: Random) -> Image.Image:
    sheet = _fading(wall, rng)
    floor = mix(rng.choice(_WALLS), (130, 104, 80), rng.uniform(0.05, 0.4))
    line = round(_DRAWN * rng.uniform(0.66, 0.82))
    ramp = _blend(mix(floor, (60, 50, 50), 0.18), floor, Image.linear_gradient("L"))
    sheet.paste(ramp.resize((_DRAWN, _DRAWN - line)), (0, line))
    return sheet


def _spot(wall: Colour, rng: Random) -> Image.Image:
    low = mix(wall, (96, 92, 104), rng.uniform(0.1, 0.32))
    return _blend(wall, low, Image.radial_gradient("L"))


def _arch(wall: Colour, rng: Random) -> Image.Image:
    sheet = _fading(wall, rng)
    tone = mix(rng.choice(_WALLS), (150, 130, 120), rng.uniform(0.0, 0.25))
    reach, x = _DRAWN * rng.uniform(0.3, 0.42), _DRAWN * rng.uniform(0.42, 0.58)
    top = _DRAWN * rng.uniform(0.08, 0.2)
    draw = ImageDraw.Draw(sheet)
    draw.ellipse((x - reach, top, x + reach, top + 2 * reach), fill=tone)
    if rng.random() < 0.6:
        draw.rectangle((x - reach, top + reach, x + reach, _DRAWN), fill=tone)
    return sheet


def _tiles(wall: Colour, rng: Random) -> Image.Image:
    sheet = _fading(wall, rng)
    draw = ImageDraw.Draw(sheet)
    line, step = mix(wall, (90, 86, 90), 0.16), _DRAWN * rng.uniform(0.14, 0.3)
    upright = rng.random() < 0.6
    for at in range(1, int(_DRAWN / step) + 1):
        draw.line((at * step, 0, at * step, _DRAWN), fill=line, width=2)
        if not upright:
            draw.line((0, at * step, _DRAWN, at * step), fill=line, width=2)
    return sheet


def _blend(first: Colour, last: Colour, ramp: Image.Image) -> Image.Image:
    size = (_DRAWN, _DRAWN)
    return Image.composite(
        Image.new("RGB", size, last), Image.new("RGB", size, first), ramp.resize(size)
    )


def _cast_shadow(picture: Image.Image, shape: Image.Image, pose: Pose, rng: Random) -> None:
    """A soft shadow, away from the light."""
    reach = _DRAWN * rng.uniform(0.015, 0.05)
    x, y = round(-pose.light[0] * reach), round(-pose.light[1] * reach)
    quarter = ImageChops.offset(shape, x, y).reduce(4)
    soft = quarter.filter(ImageFilter.GaussianBlur(_DRAWN * rng.uniform(0.005, 0.014)))
    strength = rng.uniform(0.22, 0.5)
    shadow = soft.resize(shape.size, Image.Resampling.BILINEAR).point(
        [round(v * strength) for v in range(256)]
    )
    picture.paste((30, 26, 40), mask=shadow)


def _exposed(picture: Image.Image, rng: Random) -> bytes:
    """Light, warmth, focus and grain, as a JPEG."""
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.9, 1.1))
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.92, 1.12))
    warmth = rng.uniform(-0.05, 0.05)
    tint = (round(255 * min(1, 1 + warmth)), 255, round(255 * min(1, 1 - warmth)))
    picture = ImageChops.multiply(picture, Image.new("RGB", picture.size, tint))
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    grain = np.random.default_rng(rng.getrandbits(48)).normal(
        0, rng.uniform(0.5, 5.0), (SIZE, SIZE, 1)
    )
    pixels = np.asarray(picture, dtype=np.float64) + grain
    out = BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8)).save(
        out, "JPEG", quality=_QUALITY
    )
    return out.getvalue()
