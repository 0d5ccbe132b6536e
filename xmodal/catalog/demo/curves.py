"""Outlines of drawn things: lists of points in the unit frame.

The frame runs from -1 to 1 in both directions, y downwards; a product fills most of it.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import cos, pi, radians, sin

Point = tuple[float, float]
Points = list[Point]


def smooth(points: Sequence[Point], closed: bool = True, steps: int = 7) -> Points:
    """A curve through `points` (Catmull-Rom); a point given twice in a row is a sharp corner."""
    count = len(points)
    pieces = count if closed else count - 1
    out: Points = []
    for start in range(pieces):
        four = [_neighbour(points, start + move, closed) for move in (-1, 0, 1, 2)]
        if four[1] == four[2]:
            continue
        out.extend(_between(four, step / steps) for step in range(steps))
    return out if closed else [*out, points[-1]]


@lru_cache(maxsize=512)
def path(text: str, closed: bool = True) -> tuple[Point, ...]:
    """The curve through the points of `text`, "x,y x,y" in hundredths; `*` marks a sharp corner."""
    points: Points = []
    for word in text.split():
        x, y = word.rstrip("*").split(",")
        points += [(int(x) / 100, int(y) / 100)] * (2 if word.endswith("*") else 1)
    return tuple(smooth(points, closed))


def both_sides(right: Sequence[Point]) -> Points:
    """The right half, top to bottom, closed by its mirror image."""
    return [*right, *((-x, y) for x, y in reversed(right))]


def flip(points: Sequence[Point]) -> Points:
    """The mirror image of `points` about the vertical axis."""
    return [(-x, y) for x, y in points]


def ellipse(centre: Point, rx: float, ry: float, start: float = 0, stop: float = 360) -> Points:
    """An ellipse, or its arc from `start` to `stop` degrees (clockwise from the right)."""
    steps = max(8, int(abs(stop - start) / 9))
    turns = (radians(start + (stop - start) * step / steps) for step in range(steps + 1))
    return [(centre[0] + rx * cos(turn), centre[1] + ry * sin(turn)) for turn in turns]


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> Points:
    """A rectangle with rounded corners."""
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    corners = [
        (right - radius, top + radius, -90),
        (right - radius, bottom - radius, 0),
        (left + radius, bottom - radius, 90),
        (left + radius, top + radius, 180),
    ]
    return [p for x, y, at in corners for p in ellipse((x, y), radius, radius, at, at + 90)]


def star(centre: Point, outer: float, inner: float, tips: int, turn: float = -90) -> Points:
    """A star or, with `inner` near `outer`, a polygon of twice as many corners."""
    out: Points = []
    for step in range(2 * tips):
        reach = inner if step % 2 else outer
        at = radians(turn) + pi * step / tips
        out.append((centre[0] + reach * cos(at), centre[1] + reach * sin(at)))
    return out


def _neighbour(points: Sequence[Point], at: int, closed: bool) -> Point:
    return points[at % len(points)] if closed else points[min(max(at, 0), len(points) - 1)]


def _between(four: Sequence[Point], t: float) -> Point:
    """The point at share `t` of the way from the second to the third of four points."""
    weights = (
        -0.5 * t + t * t - 0.5 * t**3,
        1 - 2.5 * t * t + 1.5 * t**3,
        0.5 * t + 2 * t * t - 1.5 * t**3,
        -0.5 * t * t + 0.5 * t**3,
    )
    # A doubled end keeps its corner sharp: the tangent there points along the piece itself.
    x = sum(weight * point[0] for weight, point in zip(weights, four, strict=True))
    y = sum(weight * point[1] for weight, point in zip(weights, four, strict=True))
    return x, y
