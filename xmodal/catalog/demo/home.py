"""Things for the home and small things: mug, lamp, chair, cushion, watch, sunglasses."""

from collections.abc import Mapping, Sequence

from xmodal.catalog.demo.canvas import Canvas
from xmodal.catalog.demo.curves import Point, Points, box, ellipse, flip, path, smooth

Parts = Mapping[str, str]


def draw_mug(canvas: Canvas, parts: Parts) -> None:
    """A mug: shape, handle."""
    if parts["handle"] == "square handle":
        canvas.stroke([(0.5, -0.34), (0.88, -0.34), (0.88, 0.36), (0.5, 0.36)], 0.14, "trim")
    elif parts["handle"] == "round handle":
        canvas.stroke(ellipse((0.52, 0.02), 0.36, 0.38, -90, 90), 0.14, "trim")
    foot, belly = {"straight-sided": (0.56, 0.58), "tapered": (0.38, 0.5), "rounded": (0.34, 0.7)}[
        parts["shape"]
    ]
    right: Points = [
        (0.58, -0.66),
        (0.58, -0.66),
        (belly, 0.05),
        (foot, 0.68),
        (foot - 0.08, 0.74),
        (0, 0.76),
    ]
    canvas.part(smooth([(0, -0.64), *right, *flip(right[:-1])[::-1]]), "main", 1.2)
    canvas.part(ellipse((0, -0.66), 0.58, 0.15), "trim", 0.7)
    canvas.part(ellipse((0, -0.65), 0.5, 0.11), "deep", 0.6)
    canvas.mark((-0.12, 0.12), 0.18)


def draw_lamp(canvas: Canvas, parts: Parts) -> None:
    """A table lamp: shade, base."""
    base = parts["base"]
    if base == "tripod base":
        for x in (-0.46, 0.0, 0.46):
            canvas.stroke([(x * 0.1, 0.0), (x, 0.9)], 0.07, "wood")
    elif base == "ball base":
        canvas.stroke([(0, -0.1), (0, 0.3)], 0.07, "gold")
        canvas.part(ellipse((0, 0.52), 0.36, 0.34), "trim", 1.3)
        canvas.part(box(-0.28, 0.84, 0.28, 0.92, 0.03), "gold")
    else:
        canvas.stroke([(0, -0.1), (0, 0.84)], 0.08, "steel")
        canvas.part(ellipse((0, 0.86), 0.42, 0.08), "steel")
    canvas.part(ellipse((0, 0.02), 0.3, 0.1), "glow", 0.3)
    shades: dict[str, Sequence[Point]] = {
        "cone shade": [(-0.26, -0.88), (0.26, -0.88), (0.72, 0.0), (-0.72, 0.0)],
        "drum shade": box(-0.6, -0.84, 0.6, 0.0, 0.03),
        "dome shade": ellipse((0, 0.0), 0.72, 0.82, 180, 360),
    }
    canvas.part(shades[parts["shade"]], "main", 1.1)
    edge = {"cone shade": 0.72, "drum shade": 0.6, "dome shade": 0.72}[parts["shade"]]
    canvas.part(box(-edge, -0.06, edge, 0.02, 0.03), "trim", 0.6)
    canvas.mark((0.06, -0.34), 0.14)


def draw_chair(canvas: Canvas, parts: Parts) -> None:
    """A chair: back, legs, arms."""
    legs = {"wooden legs": "wood", "metal legs": "steel", "black legs": "black"}[parts["legs"]]
    for x, foot in ((-0.42, -0.52), (0.42, 0.52), (-0.26, -0.3), (0.26, 0.3)):
        reach = 0.95 if abs(x) > 0.3 else 0.82
        canvas.stroke([(x, 0.26), (foot, reach)], 0.08 if legs == "wood" else 0.05, legs)
    back = parts["back"]
    if back == "slatted back":
        for x in (-0.4, -0.14, 0.14, 0.4):
            canvas.stroke([(x, -0.85), (x * 1.02, 0.14)], 0.1, "flat")
        canvas.part(box(-0.5, -0.95, 0.5, -0.76, 0.06), "main")
    elif back == "round back":
        canvas.part(ellipse((0, -0.44), 0.52, 0.5))
    else:
        canvas.part(box(-0.5, -0.92, 0.5, 0.12, 0.12))
    if parts["arms"] == "with armrests":
        for side in (-1, 1):
            canvas.stroke(
                [(side * 0.48, -0.26), (side * 0.68, -0.22), (side * 0.66, 0.2)], 0.09, legs
            )
    seat: Points = [
        (-0.5, 0.06),
        (-0.5, 0.06),
        (0.5, 0.06),
        (0.5, 0.06),
        (0.64, 0.34),
        (0.58, 0.42),
        (-0.58, 0.42),
        (-0.64, 0.34),
    ]
    canvas.part(smooth(seat), "main")
    canvas.seam([(-0.6, 0.33), (0.6, 0.33)], 0.025, 140)
    canvas.mark((0.0, -0.44) if back != "slatted back" else (0.0, 0.2), 0.14)


def draw_cushion(canvas: Canvas, parts: Parts) -> None:
    """A cushion: shape, edge."""
    shapes: dict[str, Sequence[Point]] = {
        "square": path("-80,-80 0,-70 80,-80 70,0 80,80 0,70 -80,80 -70,0"),
        "round": ellipse((0, 0), 0.78, 0.78),
        "oblong": path("-92,-52 0,-46 92,-52 86,0 92,52 0,46 -92,52 -86,0"),
    }
    outline = shapes[parts["shape"]]
    if parts["edge"] == "tasselled":
        for x, y in outline[:: max(1, len(outline) // 20)]:
            canvas.stroke([(x * 0.96, y * 0.96), (x * 1.14, y * 1.14)], 0.06, "trim", 0.6)
    canvas.part(outline, "main", 1.5)
    if parts["edge"] == "piped":
        canvas.stroke([*outline, outline[0]], 0.06, "trim", 0.6)
    if parts["edge"] == "buttoned":
        canvas.dot((0, 0), 0.09, "trim", 0.8)
    canvas.mark((0.42, 0.26), 0.14)


def draw_watch(canvas: Canvas, parts: Parts) -> None:
    """A watch: case, strap, dial."""
    metal = "gold" if parts["case"].startswith("gold") else "steel"
    square = parts["shape"] == "square"
    strap: Points = [(0.3, -1.0), (0.36, -0.36), (0.36, 0.36), (0.3, 1.0)]
    canvas.part(both(strap))
    for y in (0.66, 0.76, 0.86):
        canvas.dot((0, y), 0.03, "deep", 0.3)
    canvas.part(box(-0.33, -0.82, 0.33, -0.74, 0.02), "trim", 0.5)
    canvas.part(box(0.5, -0.08, 0.62, 0.08, 0.03), metal)
    rim = box(-0.52, -0.52, 0.52, 0.52, 0.14) if square else ellipse((0, 0), 0.56, 0.56)
    face = box(-0.4, -0.4, 0.4, 0.4, 0.08) if square else ellipse((0, 0), 0.44, 0.44)
    canvas.part(rim, metal, 1.2)
    dark = parts["dial"] == "black dial"
    canvas.part(face, "black" if dark else "white", 0.5)
    for x, y in ellipse((0, 0), 0.36, 0.36, 0, 330)[
        :: 3 if len(ellipse((0, 0), 1, 1, 0, 330)) > 30 else 4
    ]:
        canvas.dot((x, y), 0.028, "white" if dark else "black", 0.0)
    hand = "white" if dark else "black"
    canvas.stroke([(0, 0), (0.02, -0.3)], 0.035, hand, 0.0)
    canvas.stroke([(0, 0), (0.2, 0.1)], 0.045, hand, 0.0)
    canvas.mark((-0.17, 0.12), 0.11)


def draw_sunglasses(canvas: Canvas, parts: Parts) -> None:
    """Sunglasses: frame, lens."""
    lenses: dict[str, Sequence[Point]] = {
        "round": ellipse((0.46, 0), 0.36, 0.36),
        "square": box(0.1, -0.3, 0.84, 0.32, 0.1),
        "aviator": path("12,-26 50,-32 86,-22 78,20 50,40 20,20"),
        "cat-eye": path("10,-14 50,-28 98,-44* 84,14 46,30 14,16"),
    }
    lens = lenses[parts["frame"]]
    for side in (-1, 1):
        canvas.stroke([(side * 0.82, -0.16), (side * 0.98, -0.3), (side * 0.9, -0.5)], 0.09, "main")
    canvas.stroke(path("-16,-8 0,-16 16,-8", closed=False), 0.09, "main")
    tint = {"dark lenses": "glass", "mirrored lenses": "steel", "amber lenses": "gold"}[
        parts["lens"]
    ]
    for rim in (lens, flip(lens)):
        canvas.part(rim, tint, 0.8)
        canvas.stroke([*rim, rim[0], rim[1]], 0.12, "main", 0.8)
    canvas.stroke([(0.34, -0.16), (0.24, 0.08)], 0.04, "white", 0.0)
    canvas.stroke([(-0.58, -0.16), (-0.68, 0.08)], 0.04, "white", 0.0)
    canvas.mark((0.62, 0.08), 0.11)


def both(right: Points) -> Points:
    """The right side and its mirror image, closed."""
    return [*right, *flip(right)[::-1]]
