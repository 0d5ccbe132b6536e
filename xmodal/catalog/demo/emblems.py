"""Brand marks: each brand's emblem, in a frame of its own from -1 to 1.

A brand can be known from the picture alone: the mark is sewn or stamped on its every product.
"""

from math import cos, pi, sin

from xmodal.catalog.demo.curves import Points, box, ellipse, smooth, star


def emblem(brand: str) -> list[Points]:
    """The filled outlines of the brand's mark."""
    return _MARKS[brand]()


def _sun() -> list[Points]:
    return [star((0, 0), 1.0, 0.58, 9)]


def _moon() -> list[Points]:
    outer = ellipse((0, 0), 1, 1, 50, 310)
    inner = ellipse((0.42, 0), 0.78, 0.78, 290, 70)
    return [outer + inner]


def _star() -> list[Points]:
    return [star((0, 0.05), 1.05, 0.42, 5)]


def _bolt() -> list[Points]:
    return [[(0.3, -1), (-0.7, 0.2), (-0.08, 0.2), (-0.3, 1), (0.7, -0.28), (0.08, -0.28)]]


def _heart() -> list[Points]:
    turns = [2 * pi * step / 40 for step in range(40)]
    return [[(sin(t) ** 3, -(13 * cos(t) - 5 * cos(2 * t) - 2 * cos(3 * t)) / 15) for t in turns]]


def _cross() -> list[Points]:
    return [box(-0.34, -1, 0.34, 1), box(-1, -0.34, 1, 0.34)]


def _peaks() -> list[Points]:
    return [[(-1.05, 0.8), (-0.38, -0.75), (0.05, 0.12), (0.38, -0.4), (1.05, 0.8)]]


def _bars() -> list[Points]:
    return [box(-1, -0.85, 1, -0.4), box(-1, -0.22, 1, 0.23), box(-1, 0.41, 1, 0.86)]


def _wave() -> list[Points]:
    top = [(-1.1 + 2.2 * step / 24, -0.34 + 0.42 * sin(step / 24 * 4 * pi)) for step in range(25)]
    return [top + [(x, y + 0.72) for x, y in reversed(top)]]


def _leaf() -> list[Points]:
    blade = [(-0.75, 0.75), (-0.75, 0.75), (-0.8, -0.2), (0.1, -0.85), (0.95, -0.95), (0.95, -0.95)]
    return [smooth([*blade, (0.85, 0.1), (0.1, 0.7)])]


def _diamond() -> list[Points]:
    return [[(0, -1.1), (0.75, 0), (0, 1.1), (-0.75, 0)]]


def _ring() -> list[Points]:
    return [ellipse((0, 0), 1, 1, 0, 360) + ellipse((0, 0), 0.5, 0.5, 360, 0)]


_MARKS = {
    "Solenne": _sun,
    "Lunaro": _moon,
    "Estella": _star,
    "Voltik": _bolt,
    "Amorette": _heart,
    "Crossby": _cross,
    "Alpina": _peaks,
    "Tribar": _bars,
    "Marea": _wave,
    "Verdana": _leaf,
    "Kitewell": _diamond,
    "Orbit": _ring,
}
BRANDS: tuple[str, ...] = tuple(_MARKS)
