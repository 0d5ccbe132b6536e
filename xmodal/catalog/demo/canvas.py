"""The drawing board: parts in the unit frame become shaded, coloured pixels with an outline."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, sin

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from xmodal.catalog.demo.curves import Point, Points, ellipse
from xmodal.catalog.demo.emblems import emblem
from xmodal.catalog.demo.paints import Paints

_SHADE = (22, 18, 34)


@dataclass(frozen=True)
class Pose:
    """How the product stands: turned (radians), scaled, shifted, leaning, perhaps mirrored."""

    turn: float = 0.0
    scale: float = 0.8
    shift: Point = (0.0, 0.0)
    lean: float = 0.0
    mirrored: bool = False
    light: Point = (-0.7, -0.7)

    def place(self, point: Point, size: int) -> Point:
        """The pixel that `point` of the unit frame falls on."""
        x, y = (-point[0] if self.mirrored else point[0]), point[1]
        x += self.lean * y
        turned = x * cos(self.turn) - y * sin(self.turn), x * sin(self.turn) + y * cos(self.turn)
        half = size / 2
        return (
            half * (1 + self.scale * turned[0] + self.shift[0]),
            half * (1 + self.scale * turned[1] + self.shift[1]),
        )


class Canvas:
    """One product being drawn, larger than life: the scene shrinks it to its final size."""

    def __init__(self, size: int, pose: Pose, paints: Paints) -> None:
        self.size = size
        self.pose = pose
        self.paints = paints
        self.colour = Image.new("RGB", (size, size))
        self.alpha = Image.new("L", (size, size), 0)

    def part(self, outline: Sequence[Point], paint: str = "main", depth: float = 1.0) -> None:
        """Fill a closed outline with a paint; `depth` scales how round it looks."""
        mask = self._sheet()
        ImageDraw.Draw(mask).polygon(self._placed(outline), fill=255)
        self._lay(mask, paint, depth)

    def stroke(
        self, path: Sequence[Point], width: float, paint: str = "main", depth: float = 1.0
    ) -> None:
        """Draw an open path of `width` (unit frame) with round ends."""
        mask = self._sheet()
        draw = ImageDraw.Draw(mask)
        thick = max(1.5, width * self.pose.scale * self.size / 2)
        placed = self._placed(path)
        draw.line(placed, fill=255, width=round(thick), joint="curve")
        for x, y in (placed[0], placed[-1]):
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
        self._lay(mask, paint, depth)

    def seam(self, path: Sequence[Point], width: float = 0.014, strength: int = 110) -> None:
        """A thin dark line on what is drawn so far: a fold, a seam, a gap."""
        mask = self._sheet()
        thick = max(1, round(width * self.pose.scale * self.size / 2))
        ImageDraw.Draw(mask).line(self._placed(path), fill=strength, width=thick, joint="curve")
        area = mask.getbbox()
        if area is not None:
            covered = ImageChops.multiply(mask.crop(area), self.alpha.crop(area))
            self.colour.paste(_SHADE, area, covered)

    def dot(self, centre: Point, radius: float, paint: str = "trim", depth: float = 0.6) -> None:
        """A small round thing: a button, a rivet."""
        self.part(ellipse(centre, radius, radius), paint, depth)

    def mark(self, centre: Point, radius: float = 0.15) -> None:
        """The brand's emblem on its round patch."""
        self.part(ellipse(centre, radius, radius), "patch", 0.35)
        reach = radius * 0.66
        for outline in emblem(self.paints.design.brand):
            shape = [(centre[0] + reach * x, centre[1] + reach * y) for x, y in outline]
            self.part(shape, "ink", 0.0)

    def _sheet(self) -> Image.Image:
        return Image.new("L", (self.size, self.size), 0)

    def _placed(self, points: Sequence[Point]) -> Points:
        return [self.pose.place(point, self.size) for point in points]

    def _lay(self, mask: Image.Image, paint: str, depth: float) -> None:
        """Colour what the mask covers, then round it off with light and shade."""
        found = mask.getbbox()
        if found is None:
            return
        pad = self.size // 24
        area = (
            max(0, found[0] - pad),
            max(0, found[1] - pad),
            min(self.size, found[2] + pad),
            min(self.size, found[3] + pad),
        )
        cut = mask.crop(area)
        self.colour.paste(self.paints.sheet(paint).crop(area), area, cut)
        self.alpha.paste(255, area, cut)
        if depth > 0:
            self._round_off(cut, area, depth)

    def _round_off(self, cut: Image.Image, area: tuple[int, int, int, int], depth: float) -> None:
        """An inner glow towards the light, an inner shadow away from it, a thin dark rim."""
        reach = max(2, self.size // 40)
        soft = cut.filter(ImageFilter.GaussianBlur(reach))
        step = [round(part * reach) for part in self.pose.light]
        lit = ImageChops.subtract(cut, _moved(soft, -step[0], -step[1]))
        shaded = ImageChops.subtract(cut, _moved(soft, step[0], step[1]))
        self.colour.paste((255, 255, 255), area, _scaled(lit, 0.34 * depth))
        self.colour.paste(_SHADE, area, _scaled(shaded, 0.62 * depth))
        rim = ImageChops.subtract(cut, cut.filter(ImageFilter.MinFilter(3)))
        self.colour.paste(_SHADE, area, _scaled(rim, 0.4 * min(1.0, depth)))


def _scaled(mask: Image.Image, share: float) -> Image.Image:
    return mask.point(_levels(round(share, 2)))


@lru_cache(maxsize=256)
def _levels(share: float) -> list[int]:
    return [min(255, round(level * share)) for level in range(256)]


def _moved(image: Image.Image, x: int, y: int) -> Image.Image:
    """The image shifted; the blank margin around every part keeps what wraps round invisible."""
    return ImageChops.offset(image, x, y)
