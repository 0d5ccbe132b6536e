"""Textures of materials: how the surface itself takes the light.

Each texture is an image of mode L, 128 where it changes nothing.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grid = NDArray[np.float64]


@lru_cache(maxsize=64)
def texture(material: str, size: int) -> Image.Image | None:
    """The texture of `material`, or None where it is smooth."""
    make = TEXTURES.get(material)
    if make is None:
        return None
    y, x = np.mgrid[0:size, 0:size] / size
    levels = 128 + 127 * np.clip(make(x, y), -1, 1)
    return Image.fromarray(levels.astype(np.uint8))


def _knit(x: Grid, y: Grid) -> Grid:
    across = np.abs((x * 26) % 1 - 0.5)
    level: Grid = 0.42 * np.sin(2 * np.pi * (y * 26 + across * 1.6)) - 0.5 * (across < 0.09)
    return level


def _denim(x: Grid, y: Grid) -> Grid:
    level: Grid = 0.2 * np.sin(2 * np.pi * 46 * (x + y)) + 0.35 * _cloud(x.shape[0], 7) - 0.05
    return level


def _leather(x: Grid, y: Grid) -> Grid:
    sheen = np.exp(-(((x + 0.6 * y - 0.62) / 0.11) ** 2))
    level: Grid = 0.28 * _cloud(x.shape[0], 34) + 0.55 * sheen
    return level


def _satin(x: Grid, y: Grid) -> Grid:
    level: Grid = 0.42 * np.sin(2 * np.pi * (2.6 * x + 1.1 * y + 0.25 * np.sin(5 * y)))
    return level


def _canvas(x: Grid, y: Grid) -> Grid:
    level: Grid = 0.2 * np.sign(np.sin(2 * np.pi * 44 * x)) * np.sign(np.sin(2 * np.pi * 44 * y))
    return level


def _ribbed(x: Grid, _: Grid) -> Grid:
    level: Grid = 0.5 * np.sin(2 * np.pi * 30 * x)
    return level


def _straw(x: Grid, y: Grid) -> Grid:
    lay = (np.floor(x * 17) + np.floor(y * 17)) % 2
    along = np.where(lay > 0, (x * 17) % 1, (y * 17) % 1)
    level: Grid = 0.62 * np.sin(np.pi * along) - 0.36
    return level


def _wood(x: Grid, y: Grid) -> Grid:
    bend = 1.1 * np.sin(3.3 * y + 1) + 0.4 * _cloud(x.shape[0], 5)
    level: Grid = 0.4 * np.sin(2 * np.pi * (9 * x + bend))
    return level


def _metal(x: Grid, y: Grid) -> Grid:
    level: Grid = 0.6 * np.sin(2 * np.pi * (1.7 * x + 0.1)) + 0.12 * np.sin(2 * np.pi * 60 * y)
    return level


def _glossy(x: Grid, _: Grid) -> Grid:
    broad, narrow = ((x - 0.36) / 0.035) ** 2, ((x - 0.66) / 0.02) ** 2
    level: Grid = 1.1 * np.exp(-broad) + 0.5 * np.exp(-narrow)
    return level


def _plush(x: Grid, y: Grid) -> Grid:
    level: Grid = 0.16 * _cloud(x.shape[0], 88) + 0.34 * np.sin(2 * np.pi * (1.3 * x - 0.7 * y))
    return level


def _cloud(size: int, cells: int) -> Grid:
    """Smooth noise of about `cells` lumps across, -1 to 1; the same at every call."""
    lumps = np.random.default_rng(cells).uniform(0, 255, (cells, cells)).astype(np.uint8)
    sheet = Image.fromarray(lumps).resize((size, size), Image.Resampling.BICUBIC)
    level: Grid = np.asarray(sheet, dtype=np.float64) / 127.5 - 1
    return level


TEXTURES: dict[str, Callable[[Grid, Grid], Grid]] = {
    "wool": _knit,
    "denim": _denim,
    "leather": _leather,
    "satin": _satin,
    "canvas": _canvas,
    "corduroy": _ribbed,
    "straw": _straw,
    "wooden": _wood,
    "metal": _metal,
    "ceramic": _glossy,
    "velvet": _plush,
}
