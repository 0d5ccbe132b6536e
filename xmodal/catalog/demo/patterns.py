"""Patterns of cloth: where on the material the second colour lies.

Each pattern is a mask (mode L, 255 = second colour) as large as the picture.
"""

from collections.abc import Callable
from math import cos, pi, radians, sin
from random import Random

from PIL import Image, ImageDraw

from xmodal.catalog.demo.curves import Point, Points, star

Draw = ImageDraw.ImageDraw


def pattern_mask(name: str, size: int, rng: Random, turn: float) -> Image.Image:
    """The mask of pattern `name`, turned by `turn` degrees with the product."""
    wide = int(size * 1.45)
    sheet = Image.new("L", (wide, wide), 0)
    step = size * rng.uniform(0.085, 0.125)
    PATTERNS[name](ImageDraw.Draw(sheet), wide, step, rng)
    sheet = sheet.rotate(turn)
    edge = (wide - size) // 2
    return sheet.crop((edge, edge, edge + size, edge + size))


def _striped(draw: Draw, wide: int, step: float, rng: Random) -> None:
    share = rng.uniform(0.4, 0.55)
    for at in _steps(wide, step * 1.25):
        draw.rectangle((0, at, wide, at + step * 1.25 * share), fill=255)


def _pinstriped(draw: Draw, wide: int, step: float, _: Random) -> None:
    for at in _steps(wide, step * 0.85):
        draw.rectangle((at, 0, at + step * 0.2, wide), fill=255)


def _dotted(draw: Draw, wide: int, step: float, rng: Random) -> None:
    radius = step * rng.uniform(0.26, 0.36)
    for row, y in enumerate(_steps(wide, step * 0.95)):
        for x in _steps(wide, step * 1.1):
            draw.ellipse(_around(x + step * 0.55 * (row % 2), y, radius), fill=255)


def _checked(draw: Draw, wide: int, step: float, _: Random) -> None:
    step *= 1.3
    for at in _steps(wide, step):
        draw.rectangle((0, at, wide, at + step / 2), fill=125)
    for x in _steps(wide, step):
        draw.rectangle((x, 0, x + step / 2, wide), fill=125)
        for y in _steps(wide, step):
            draw.rectangle((x, y, x + step / 2, y + step / 2), fill=255)


def _floral(draw: Draw, wide: int, step: float, rng: Random) -> None:
    for row, y in enumerate(_steps(wide, step * 1.45)):
        for x in _steps(wide, step * 1.7):
            off = step * (0.85 * (row % 2) + rng.uniform(-0.2, 0.2))
            high = y + rng.uniform(-0.2, 0.2) * step
            _flower(draw, x + off, high, step * 0.33, rng.uniform(0, 72))


def _flower(draw: Draw, x: float, y: float, petal: float, turn: float) -> None:
    for px, py in star((x, y), petal * 1.05, petal * 1.05, 5, turn)[::2]:
        draw.ellipse(_around(px, py, petal * 0.62), fill=255)
    draw.ellipse(_around(x, y, petal * 0.5), fill=70)
    lx, ly = star((x, y), petal * 2.4, petal, 1, turn + 30)[0]
    draw.ellipse(
        (lx - petal * 0.55, ly - petal * 0.3, lx + petal * 0.55, ly + petal * 0.3), fill=190
    )


def _zigzag(draw: Draw, wide: int, step: float, _: Random) -> None:
    step *= 1.2
    for row in _steps(wide, step):
        path = [
            (x, row + (step * 0.55 if n % 2 else 0)) for n, x in enumerate(_steps(wide, step * 0.6))
        ]
        draw.line(path, fill=255, width=max(2, round(step * 0.3)))


def _starry(draw: Draw, wide: int, step: float, rng: Random) -> None:
    for row, y in enumerate(_steps(wide, step * 1.2)):
        for x in _steps(wide, step * 1.45):
            centre = (x + step * 0.72 * (row % 2), y)
            draw.polygon(
                star(centre, step * 0.46, step * 0.19, 5, rng.uniform(-100, -80)), fill=255
            )


def _leafy(draw: Draw, wide: int, step: float, _: Random) -> None:
    for row, y in enumerate(_steps(wide, step * 1.25)):
        for column, x in enumerate(_steps(wide, step * 1.35)):
            turn = radians(40 if (row + column) % 2 else -40)
            centre = (x + step * 0.6 * (row % 2), y)
            draw.polygon(_leaf(centre, step * 0.6, turn), fill=255)
            tip, foot = _leaf(centre, step * 0.6, turn)[0], _leaf(centre, step * 0.78, turn)[8]
            draw.line((tip, foot), fill=0, width=max(1, round(step * 0.07)))
            draw.line((centre, foot), fill=255, width=max(1, round(step * 0.09)))


def _leaf(centre: Point, reach: float, turn: float) -> Points:
    """A pointed blade of 16 corners; the first is its tip, the ninth its foot."""
    out: Points = []
    for step in range(16):
        at = 2 * pi * step / 16
        x, y = reach * 0.55 * sin(at) * abs(sin(at)) ** 0.5, -reach * cos(at)
        out.append(
            (centre[0] + x * cos(turn) - y * sin(turn), centre[1] + x * sin(turn) + y * cos(turn))
        )
    return out


def _camo(draw: Draw, wide: int, step: float, rng: Random) -> None:
    for _ in range(int((wide / step) ** 2 / 2.6)):
        x, y = rng.uniform(0, wide), rng.uniform(0, wide)
        shade = rng.choice((110, 255))
        for _ in range(3):
            x, y = x + rng.gauss(0, step * 0.4), y + rng.gauss(0, step * 0.25)
            wide_blob, high_blob = step * rng.uniform(0.4, 0.8), step * rng.uniform(0.25, 0.5)
            draw.ellipse((x - wide_blob, y - high_blob, x + wide_blob, y + high_blob), fill=shade)


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _steps(wide: int, step: float) -> list[float]:
    return [at * step for at in range(int(wide / step) + 2)]


PATTERNS: dict[str, Callable[[Draw, int, float, Random], None]] = {
    "striped": _striped,
    "pinstriped": _pinstriped,
    "dotted": _dotted,
    "checked": _checked,
    "floral": _floral,
    "zigzag": _zigzag,
    "starry": _starry,
    "leafy": _leafy,
    "camouflage": _camo,
}
