"""Charts as SVG text: lines, dots with whiskers, points, a matrix.

The page's CSS variables colour them, so one drawing serves light and dark; each colour has a
fall-back for a drawing that stands alone. All words are escaped.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 680
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 132, 14, 44
_HEIGHT = 320
_LINE = 15  # height of a label
_DASHES = ("", "7 4", "2 3", "9 3 2 3")
# Distinct in both themes; after eight they repeat.
COLOURS = ("#b93f24", "#1f66ad", "#12805c", "#8a6200", "#7a4aa8", "#0b7285", "#b0417d", "#6d6863")

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A scale under a name, from `low` to `high`; with `is_log` both are above 0."""

    name: str
    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where `value` lies, as a share of the axis."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low) if high > low else 0.5

    @property
    def ticks(self) -> list[float]:
        """Round values to mark: about five, on a log axis 1, 2 and 5 of each power of ten."""
        if self.is_log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            marks = [m * 10.0**p for p in powers for m in (1, 2, 5)]
        else:
            step = _round_step((self.high - self.low) / 5)
            first = math.ceil(self.low / step - 1e-9)
            marks = [round(step * n, 10) for n in range(first, first + 12)]
        slack = (self.high - self.low) * 1e-9
        return [mark for mark in marks if self.low - slack <= mark <= self.high + slack]


def axis_of(name: str, values: Sequence[float], include: float | None = None) -> Axis:
    """An axis that holds all `values` (and `include`), ending on round numbers."""
    all_values = [*values, *([] if include is None else [include])] or [0.0, 1.0]
    low, high = min(all_values), max(all_values)
    step = _round_step((high - low or abs(high) or 1.0) / 5)
    return Axis(name, math.floor(low / step) * step, math.ceil(high / step) * step)


def lines(series: Mapping[str, Sequence[Point]], x: Axis, y: Axis) -> str:
    """One line a name through its points, labelled at its end; a single point is a dot."""
    ends, parts = [], []
    for number, (name, points) in enumerate(series.items()):
        places = [(_x(x, a), _y(y, b)) for a, b in points]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        style = f'stroke="{_colour(number)}" stroke-dasharray="{_DASHES[number % len(_DASHES)]}"'
        parts.append(f'<polyline points="{path}" fill="none" stroke-width="2" {style}/>')
        if len(places) <= 40:
            parts += [
                _dot(place, number, f"{name}: {b:.4g} at {a:.4g}")
                for place, (a, b) in zip(places, points, strict=True)
            ]
        if places:
            ends.append((places[-1][1], number, name))
    return _svg(_HEIGHT, _frame(x, y) + "".join(parts) + _end_labels(ends))


def points(groups: Mapping[str, Sequence[Point]], hollow: frozenset[str] = frozenset()) -> str:
    """A map of points without scales, a colour a group; the groups in `hollow` as rings."""
    flat = [point for group in groups.values() for point in group]
    x, y = axis_of("", [a for a, _ in flat]), axis_of("", [b for _, b in flat])
    parts = []
    for number, (name, group) in enumerate(groups.items()):
        fill = f'fill="{_colour(number)}" fill-opacity=".65"'
        if name in hollow:
            fill = f'fill="none" stroke="{_colour(number)}" stroke-width="1.4"'
        dots = "".join(f'<circle cx="{_x(x, a):.1f}" cy="{_y(y, b):.1f}" r="3"/>' for a, b in group)
        parts.append(f"<g {fill}>{dots}<title>{escape(name)}</title></g>")
    names = [(_TOP + 12 + _LINE * n, n, name) for n, name in enumerate(groups)]
    return _svg(_HEIGHT, "".join(parts) + _end_labels(names))


@dataclass(frozen=True)
class Whisker:
    """A value with its interval, of one series, on the line of `label`."""

    label: str
    series: str
    value: float
    low: float
    high: float


def whiskers(rows: Sequence[Whisker], x: Axis, mark: float | None = None) -> str:
    """Dots with intervals, a line a label, series beside each other; a rule at `mark`."""
    labels = list(dict.fromkeys(row.label for row in rows))
    series = list(dict.fromkeys(row.series for row in rows))
    step, left = max(24, 11 * len(series) + 8), 190
    top = _TOP + (_LINE + 6 if len(series) > 1 else 0)
    height = top + step * len(labels) + _BOTTOM

    def at(value: float) -> float:
        return left + x.place(value) * (WIDTH - 24 - left)

    parts = [_key(series)] if len(series) > 1 else []
    foot = top + step * len(labels)
    for tick in x.ticks:
        parts.append(_rule(at(tick), top, at(tick), foot))
        parts.append(_text(at(tick), foot + 16, _number(tick), "middle"))
    parts.append(_text((left + WIDTH - 24) / 2, foot + 34, x.name, "middle"))
    if mark is not None:
        parts.append(_rule(at(mark), top, at(mark), foot, ink="var(--ink, #1d1b1a)"))
    for line, label in enumerate(labels):
        middle = top + step * (line + 0.5)
        parts.append(_text(left - 10, middle + 4, _short(label, 26), "end", label))
        for row in (one for one in rows if one.label == label):
            number = series.index(row.series)
            level = middle + 11 * (number - (len(series) - 1) / 2)
            says = f"{label}, {row.series}: {row.value:.4f} ({row.low:.4f} to {row.high:.4f})"
            colour = _colour(number)
            parts.append(_rule(at(row.low), level, at(row.high), level, ink=colour, width=2))
            parts.append(_dot((at(row.value), level), number, says))
    return _svg(height, "".join(parts))


def matrix(counts: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """A square a cell, the darker the larger its share of its row; the number inside."""
    side, left, head = min(44, 460 // max(len(columns), 1)), 150, 96
    parts = []
    for i, (name, line) in enumerate(zip(rows, counts, strict=True)):
        total = sum(line)
        level = head + side * i
        parts.append(_text(left - 8, level + side / 2 + 4, _short(name, 20), "end", name))
        for j, count in enumerate(line):
            share = count / total if total else 0.0
            says = f"{name} taken for {columns[j]}: {count:g} of {total:g}"
            parts.append(
                f'<rect x="{left + side * j}" y="{level}" width="{side - 1}" height="{side - 1}"'
                f' rx="3" fill="{_colour(1)}" fill-opacity="{0.06 + 0.86 * share:.2f}">'
                f"<title>{escape(says)}</title></rect>"
            )
            if count and side >= 24:
                ink = "#fff" if share > 0.5 else "var(--ink, #1d1b1a)"
                parts.append(
                    _text(
                        left + side * (j + 0.5),
                        level + side / 2 + 4,
                        f"{count:g}",
                        "middle",
                        ink=ink,
                    )
                )
    for j, name in enumerate(columns):
        x = left + side * (j + 0.5)
        slant = f'transform="rotate(-40 {x:.0f} {head - 8})"'
        parts.append(_text(x, head - 8, _short(name, 16), "start", name, extra=slant))
    return _svg(head + side * len(rows) + 10, "".join(parts))


def _frame(x: Axis, y: Axis) -> str:
    foot, right = _HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for tick in y.ticks:
        parts.append(_rule(_LEFT, _y(y, tick), right, _y(y, tick)))
        parts.append(_text(_LEFT - 8, _y(y, tick) + 4, _number(tick), "end"))
    for tick in x.ticks:
        parts.append(_rule(_x(x, tick), foot, _x(x, tick), foot + 4))
        parts.append(_text(_x(x, tick), foot + 18, _number(tick), "middle"))
    parts.append(_text((_LEFT + right) / 2, foot + 36, x.name, "middle"))
    turn = f'transform="rotate(-90 12 {(_TOP + foot) / 2:.0f})"'
    parts.append(_text(12, (_TOP + foot) / 2, y.name, "middle", extra=turn))
    return "".join(parts)


def _end_labels(ends: Sequence[tuple[float, int, str]]) -> str:
    """Names right of the plot at their lines' ends, moved down where they would meet."""
    parts, last = [], -math.inf
    for level, number, name in sorted(ends):
        last = max(level, last + _LINE)
        ink = _colour(number)
        parts.append(_text(WIDTH - _RIGHT + 10, last + 4, _short(name, 18), "start", name, ink=ink))
    return "".join(parts)


def _key(series: Sequence[str]) -> str:
    parts, at = [], 190.0
    for number, name in enumerate(series):
        parts.append(_dot((at, _TOP), number, name))
        parts.append(_text(at + 9, _TOP + 4, name, "start"))
        at += 28 + 7.0 * len(name)
    return "".join(parts)


def _svg(height: float, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" xmlns="http://www.w3.org/2000/svg"'
        f' font-size="12" font-family="system-ui, sans-serif">{inside}</svg>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    anchor: str,
    whole: str = "",
    *,
    ink: str = "var(--soft, #6d6863)",
    extra: str = "",
) -> str:
    title = f"<title>{escape(whole)}</title>" if whole and whole != words else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}" {extra}>'
        f"{escape(words)}{title}</text>"
    )


def _rule(
    x1: float, y1: float, x2: float, y2: float, *, ink: str = "var(--line, #e5e0d9)", width: int = 1
) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{ink}"'
        f' stroke-width="{width}"/>'
    )


def _dot(place: Point, number: int, says: str) -> str:
    return (
        f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3.5" fill="{_colour(number)}">'
        f"<title>{escape(says)}</title></circle>"
    )


def _colour(number: int) -> str:
    slot = number % len(COLOURS)
    return f"var(--c{slot}, {COLOURS[slot]})"


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (WIDTH - _RIGHT - _LEFT)


def _y(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.place(value) * (_HEIGHT - _BOTTOM - _TOP)


def _round_step(width: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    if width <= 0 or not math.isfinite(width):
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= width * (1 - 1e-9))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
