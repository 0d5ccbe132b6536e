"""Paints: the colour sheets that parts of a product are cut from."""

from collections.abc import Callable
from math import degrees
from random import Random

from PIL import Image, ImageChops

from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.palette import Colour, dye, lightness, mix
from xmodal.catalog.demo.patterns import pattern_mask
from xmodal.catalog.demo.textures import texture

_FIXED: dict[str, Colour] = {
    "black": (34, 34, 38),
    "white": (246, 245, 242),
    "steel": (176, 180, 188),
    "gold": (206, 168, 92),
    "wood": (170, 122, 76),
    "glass": (52, 58, 70),
    "glow": (255, 238, 190),
    "sole": (238, 236, 230),
    "rubber": (62, 56, 54),
}
_TEXTURED = {"wood": "wooden", "steel": "metal", "gold": "metal"}


class Paints:
    """One product's paints, each mixed when it is first asked for.

    main: colour, pattern and texture; flat: the same without the pattern; deep: a darker
    flat (insides, folds); trim: the second colour, or a shade of the first where there is none.
    """

    def __init__(self, design: Design, size: int, turn: float, rng: Random) -> None:
        self.design = design
        self._size = size
        self._turn = -degrees(turn)
        self._rng = rng
        self.base = dye(design.colour, rng)
        self.other = dye(design.second, rng) if design.second else _shade_of(self.base)
        pale = rng.random() < 0.5
        self._patch: Colour = (250, 246, 236) if pale else (36, 34, 44)
        self._ink: Colour = (40, 36, 52) if pale else (246, 236, 208)
        self._ready: dict[str, Image.Image] = {}

    def sheet(self, name: str) -> Image.Image:
        """The colour sheet of that name, as large as the picture."""
        if name not in self._ready:
            self._ready[name] = self._mix(name)
        return self._ready[name]

    def _mix(self, name: str) -> Image.Image:
        if name == "main":
            return self._textured(self._patterned(), self.design.material)
        own: dict[str, Callable[[], Colour]] = {
            "flat": lambda: self.base,
            "deep": lambda: mix(self.base, (20, 16, 30), 0.42),
            "trim": lambda: self.other,
            "patch": lambda: self._patch,
            "ink": lambda: self._ink,
        }
        colour = own[name]() if name in own else _FIXED[name]
        plain = Image.new("RGB", (self._size, self._size), colour)
        material = self.design.material if name in ("flat", "deep") else _TEXTURED.get(name, "")
        return self._textured(plain, material)

    def _patterned(self) -> Image.Image:
        ground = Image.new("RGB", (self._size, self._size), self.base)
        if self.design.pattern == "plain":
            return ground
        mask = pattern_mask(self.design.pattern, self._size, self._rng, self._turn)
        ground.paste(self.other, mask=mask)
        return ground

    def _textured(self, sheet: Image.Image, material: str) -> Image.Image:
        grain = texture(material, self._size)
        if grain is None:
            return sheet
        turned = grain.rotate(self._turn, fillcolor=128)
        return ImageChops.overlay(sheet, Image.merge("RGB", (turned, turned, turned)))


def _shade_of(base: Colour) -> Colour:
    """A trim for a product of one colour: paler where it is dark, darker where it is pale."""
    if lightness(base) > 120:
        return mix(base, (24, 20, 34), 0.3)
    return mix(base, (255, 255, 255), 0.26)
