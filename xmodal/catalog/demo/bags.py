"""Things to carry: handbag, backpack, umbrella, scarf, hat."""

from collections.abc import Mapping

from xmodal.catalog.demo.canvas import Canvas
from xmodal.catalog.demo.curves import Points, box, ellipse, flip, path, smooth, star

Parts = Mapping[str, str]


def draw_handbag(canvas: Canvas, parts: Parts) -> None:
    """A handbag: shape, handle, closure."""
    if parts["handle"] == "chain strap":
        for x, y in ellipse((0, -0.15), 0.6, 0.78, 186, 354):
            canvas.dot((x, y), 0.045, "gold", 0.8)
    elif parts["handle"] == "long strap":
        canvas.stroke(ellipse((0, -0.1), 0.66, 0.86, 182, 358), 0.07, "trim")
    else:
        canvas.stroke(ellipse((0, -0.22), 0.34, 0.5, 180, 360), 0.1, "trim")
    bodies = {
        "tote": path("-62,-28* 62,-28* 80,78* -80,78*"),
        "satchel": box(-0.78, -0.22, 0.78, 0.66, 0.14),
        "half-moon": ellipse((0, -0.22), 0.86, 0.92, 0, 180),
        "bucket": path("-64,-30* 64,-30* 46,80 40,86 -40,86 -46,80"),
    }
    canvas.part(bodies[parts["shape"]])
    if parts["closure"] == "flap":
        canvas.part(path("-66,-28* 66,-28* 54,14 0,28 -54,14"), "flat")
        canvas.part(box(-0.08, 0.16, 0.08, 0.36, 0.03), "gold")
    elif parts["closure"] == "zipped":
        canvas.stroke([(-0.58, -0.16), (0.58, -0.16)], 0.05, "steel")
        canvas.part(box(0.4, -0.17, 0.48, 0.04, 0.02), "steel")
    else:
        canvas.part(ellipse((0, -0.27), 0.6, 0.07), "deep", 0.6)
        for side in (-0.3, 0.3):
            canvas.dot((side, -0.16), 0.05, "gold")
    canvas.mark((0.32, 0.42), 0.14)


def draw_backpack(canvas: Canvas, parts: Parts) -> None:
    """A backpack: top, pocket."""
    canvas.stroke(ellipse((0, -0.78), 0.18, 0.17, 180, 360), 0.07, "trim")
    for side in (-1, 1):
        canvas.stroke(
            ellipse((side * 0.56, 0.3), 0.2, 0.52, -90, 90 if side > 0 else -270), 0.09, "trim"
        )
    body: Points = [(0, -0.86), (0.44, -0.8), (0.6, -0.4), (0.64, 0.6), (0.5, 0.84), (0, 0.88)]
    canvas.part(smooth([*body, *flip(body[1:-1])[::-1]]))
    if parts["top"] == "roll top":
        canvas.part(box(-0.6, -0.92, 0.6, -0.66, 0.12), "main")
        canvas.part(box(-0.08, -0.94, 0.08, -0.3, 0.02), "trim")
        canvas.part(box(-0.1, -0.5, 0.1, -0.36, 0.03), "steel")
    elif parts["top"] == "flap top":
        canvas.part(path("-60,-50 -40,-86 40,-86 60,-50 58,-12* -58,-12*"), "flat")
        for x in (-0.3, 0.3):
            canvas.part(box(x - 0.06, -0.3, x + 0.06, 0.06, 0.02), "trim")
            canvas.part(box(x - 0.08, -0.06, x + 0.08, 0.03, 0.02), "gold")
    else:
        canvas.stroke(ellipse((0, -0.1), 0.5, 0.56, 190, 350), 0.04, "steel")
    if parts["pocket"] == "two pockets":
        for x in (-0.28, 0.28):
            canvas.part(box(x - 0.22, 0.26, x + 0.22, 0.74, 0.09), "trim")
        canvas.mark((0.28, 0.5), 0.13)
    elif parts["pocket"] == "front pocket":
        canvas.part(box(-0.44, 0.2, 0.44, 0.74, 0.12), "trim")
        canvas.seam([(-0.4, 0.32), (0.4, 0.32)], 0.03, 160)
        canvas.mark((0.0, 0.53), 0.14)
    else:
        canvas.mark((0.28, 0.45), 0.14)


def draw_umbrella(canvas: Canvas, parts: Parts) -> None:
    """An umbrella: state, handle."""
    if parts["state"] == "open":
        canvas.stroke([(0, -0.6), (0, 0.7)], 0.05, "steel")
        _grip(canvas, parts["handle"], 0.7)
        scallop: Points = [
            (-0.92, 0.12),
            (-0.92, 0.12),
            (-0.62, 0.02),
            (-0.34, 0.13),
            (-0.34, 0.13),
            (0, 0.02),
        ]
        scallop += [(0.34, 0.13), (0.34, 0.13), (0.62, 0.02), (0.92, 0.12), (0.92, 0.12)]
        canvas.part(ellipse((0, 0.1), 0.92, 0.86, 180, 360) + smooth(scallop, closed=False)[::-1])
        for x in (-0.34, 0.34):
            canvas.seam(smooth([(0, -0.76), (x * 0.8, -0.4), (x, 0.13)], closed=False), 0.02, 130)
        canvas.stroke([(0, -0.88), (0, -0.74)], 0.05, "steel")
        canvas.mark((0.02, -0.28), 0.14)
        return
    canvas.stroke([(0, -0.95), (0, 0.6)], 0.06, "steel")
    _grip(canvas, parts["handle"], 0.55)
    right: Points = [(0.05, -0.85), (0.2, -0.2), (0.26, 0.36), (0.2, 0.48)]
    canvas.part(smooth([*right, *flip(right)[::-1]]))
    for x in (-0.1, 0.08):
        canvas.seam([(0, -0.8), (x, 0.46)], 0.02, 150)
    canvas.part(box(-0.24, 0.1, 0.24, 0.2, 0.03), "trim")
    canvas.mark((0.03, -0.08), 0.12)


def draw_scarf(canvas: Canvas, parts: Parts) -> None:
    """A scarf: style, ends."""
    tails: list[Points] = [
        [(-0.42, -0.3), (-0.1, -0.3), (-0.14, 0.66), (-0.52, 0.66)],
        [(0.06, -0.3), (0.38, -0.34), (0.5, 0.44), (0.12, 0.5)],
    ]
    if parts["style"] == "looped":
        tails = tails[:1]
    for tail in tails:
        _fringe(canvas, parts["ends"], tail)
        canvas.part(tail)
    canvas.part(path("-60,-50 -20,-84 30,-84 62,-50 36,-16 -36,-16"))
    canvas.part(path("-34,-56 0,-70 36,-56 16,-44 -16,-44"), "deep")
    if parts["style"] == "looped":
        canvas.part(path("-62,-36 -20,-30 30,-30 64,-36 40,12 -40,12"))
    canvas.mark((-0.3, 0.36), 0.13)


def draw_hat(canvas: Canvas, parts: Parts) -> None:
    """A hat: style, band."""
    style = parts["style"]
    band = "trim" if parts["band"] == "ribbon band" else "main"
    if style == "baseball cap":
        canvas.part(path("30,20 70,22 100,40 90,50 20,42"), "trim")
        canvas.part(ellipse((-0.12, 0.3), 0.68, 0.86, 180, 360))
        canvas.dot((-0.12, -0.56), 0.06, "trim")
        for x in (-0.5, 0.25):
            canvas.seam(
                smooth([(-0.12, -0.55), (x, -0.2), (x * 1.1, 0.3)], closed=False), 0.02, 130
            )
        canvas.part(box(-0.8, 0.2, 0.56, 0.34, 0.03), band)
        canvas.mark((0.14, -0.08), 0.16)
        return
    if style == "beanie":
        canvas.part(path("-60,40 -56,-30 0,-72 56,-30 60,40"))
        canvas.part(box(-0.66, 0.2, 0.66, 0.62, 0.1), band)
        canvas.part(star((0, -0.78), 0.2, 0.15, 12), "trim")
        canvas.mark((0.24, 0.41), 0.15)
        return
    wide = 0.98 if style == "sun hat" else 0.72
    canvas.part(ellipse((0, 0.34), wide, 0.24 if style == "sun hat" else 0.34))
    crown: Points = [(0.0, -0.58), (0.38, -0.5), (0.48, 0.22), (0.3, 0.36), (0, 0.4)]
    canvas.part(smooth([*crown, *flip(crown[1:-1])[::-1]]))
    canvas.part(
        path("-47,6* 0,16 47,6* 49,24* 0,36 -49,24*"),
        band,
    )
    canvas.mark((0.2, -0.2), 0.14)


def _fringe(canvas: Canvas, ends: str, tail: Points) -> None:
    """Threads or pompoms along the lower edge of a scarf's tail."""
    right, left = tail[2], tail[3]
    count = {"fringed": 9, "tasselled": 3}.get(ends, 0)
    for step in range(count):
        share = (step + 0.5) / count
        x = left[0] + (right[0] - left[0]) * share
        y = left[1] + (right[1] - left[1]) * share
        canvas.stroke([(x, y), (x, y + 0.2)], 0.028 if count > 3 else 0.06, "trim", 0.5)
        if ends == "tasselled":
            canvas.dot((x, y + 0.22), 0.07, "trim")


def _grip(canvas: Canvas, handle: str, top: float) -> None:
    if handle == "hooked handle":
        canvas.stroke(
            [(0, top - 0.1), (0, top + 0.08), *ellipse((0.13, top + 0.08), 0.13, 0.14, 180, 0)],
            0.08,
            "wood",
        )
    elif handle == "ball handle":
        canvas.dot((0, top + 0.1), 0.12, "black", 1.0)
    else:
        canvas.part(box(-0.06, top - 0.1, 0.06, top + 0.24, 0.05), "wood")
