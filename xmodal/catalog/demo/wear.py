"""Clothes: dress, t-shirt, shirt, sweater, skirt, trousers."""

from collections.abc import Mapping

from xmodal.catalog.demo.canvas import Canvas
from xmodal.catalog.demo.curves import Points, both_sides, box, ellipse, flip, path, smooth

Parts = Mapping[str, str]


def draw_t_shirt(canvas: Canvas, parts: Parts) -> None:
    """A t-shirt: sleeve, neck."""
    _sleeves(canvas, parts["sleeve"], cuff="trim")
    canvas.part(_torso(0.56, 0.86))
    _neck(canvas, parts["neck"])
    canvas.seam([(-0.54, 0.77), (0.54, 0.77)])
    canvas.mark((0.27, -0.22))


def draw_shirt(canvas: Canvas, parts: Parts) -> None:
    """A buttoned shirt: sleeve, collar."""
    _sleeves(canvas, parts["sleeve"], cuff="trim")
    canvas.part(_torso(0.56, 0.9))
    canvas.part(box(-0.07, -0.6, 0.07, 0.89), "main", 0.5)
    for row in range(6):
        canvas.dot((0, -0.42 + 0.23 * row), 0.03, "trim")
    if parts["collar"] == "band collar":
        canvas.part([(-0.24, -0.76), (0.24, -0.76), (0.26, -0.6), (-0.26, -0.6)], "trim")
        canvas.seam([(0, -0.76), (0, -0.6)])
    else:
        wing: Points = [(0, -0.56), (0.22, -0.82), (0.36, -0.62), (0.2, -0.38)]
        canvas.part([(-0.2, -0.84), (0.2, -0.84), (0.12, -0.6), (-0.12, -0.6)], "deep")
        canvas.part(wing, "trim" if parts["collar"] == "contrast collar" else "main")
        canvas.part(flip(wing), "trim" if parts["collar"] == "contrast collar" else "main")
    canvas.part(box(0.14, -0.3, 0.42, 0.06, 0.03), "main", 0.5)
    canvas.mark((0.28, -0.12), 0.13)


def draw_sweater(canvas: Canvas, parts: Parts) -> None:
    """A sweater: neck, fit; always long sleeves."""
    _sleeves(canvas, "long sleeve", cuff="trim")
    hem = 0.72 if parts["fit"] == "cropped fit" else 0.92
    width = 0.68 if parts["fit"] == "oversized" else 0.58
    canvas.part(_torso(width, hem))
    canvas.part(box(-width, hem - 0.12, width, hem + 0.03, 0.04), "trim")
    _neck(canvas, parts["neck"])
    canvas.mark((0.26, -0.2))


def draw_dress(canvas: Canvas, parts: Parts) -> None:
    """A dress: sleeve, length, waist."""
    hem = {"mini": 0.42, "midi": 0.68, "maxi": 0.95}[parts["length"]]
    _sleeves(canvas, parts["sleeve"], cuff="main", shrink=0.78)
    flare = 0.36 + 0.3 * (hem + 0.3)
    top: Points = [(0.16, -0.9), (0.34, -0.88), (0.36, -0.62), (0.3, -0.35), (0.26, -0.2)]
    if parts["sleeve"] == "strapless":
        top = [(0.0, -0.66), (0.34, -0.72), (0.3, -0.4), (0.26, -0.2)]
    elif parts["sleeve"] == "sleeveless":
        top = [(0.17, -0.92), (0.25, -0.92), (0.34, -0.62), (0.3, -0.38), (0.26, -0.2)]
    skirt: Points = [(0.34, 0.05), (flare, hem), (flare, hem), (flare * 0.5, hem + 0.05)]
    outline = both_sides([*top, *skirt, (0.0, hem + 0.06)])
    canvas.part(smooth(_sharp_top(outline, top)))
    for x in (-0.5, -0.16, 0.2, 0.52):
        canvas.seam(
            smooth([(x * 0.4, -0.1), (x * 0.62, 0.1), (x * flare * 1.3, hem)], closed=False)
        )
    if parts["sleeve"] != "strapless":
        canvas.part(
            path("-17,-94* 0,-62 17,-94*"),
            "deep",
            0.5,
        )
    _waist(canvas, parts["waist"])
    canvas.mark((0.14, -0.42), 0.11)


def draw_skirt(canvas: Canvas, parts: Parts) -> None:
    """A skirt: length, cut."""
    hem = {"mini": 0.2, "midi": 0.58, "maxi": 0.92}[parts["length"]]
    flare = {"pencil": 0.42, "pleated": 0.74, "flared": 0.86}[parts["cut"]] * (0.75 + 0.25 * hem)
    right: Points = [(0.34, -0.72), (0.45, -0.4), (flare, hem), (flare, hem), (0, hem + 0.07)]
    canvas.part(smooth([(0, -0.72), *right, *flip(right[:-1])[::-1]]))
    folds = {"pencil": 0, "pleated": 9, "flared": 4}[parts["cut"]]
    for fold in range(folds):
        at = (fold + 1) / (folds + 1) * 2 - 1
        canvas.seam([(at * 0.36, -0.62), (at * flare, hem + 0.04)], 0.022, 150)
    if parts["cut"] == "pencil":
        canvas.seam([(0, hem - 0.24), (0, hem + 0.08)], 0.03, 200)
    canvas.part(box(-0.36, -0.84, 0.36, -0.66, 0.04), "trim")
    canvas.mark((0.2, -0.44), 0.12)


def draw_trousers(canvas: Canvas, parts: Parts) -> None:
    """Trousers: fit, length."""
    hem = {"shorts": -0.05, "cropped": 0.55, "full length": 0.92}[parts["length"]]
    knee, ankle = {"skinny": (0.32, 0.22), "straight-leg": (0.34, 0.34), "wide-leg": (0.44, 0.6)}[
        parts["fit"]
    ]
    leg: Points = [(0, -0.85), (0.36, -0.85), (0.42, -0.4), (0.12 + knee, 0.1)]
    foot = 0.1 + knee + (ankle - knee) * max(0.0, (hem + 0.1) / 1.0)
    leg += [(foot, hem), (foot, hem), (0.1, hem), (0.1, hem), (0.06, 0.0), (0, -0.28), (0, -0.28)]
    for half in (smooth(leg), smooth(flip(leg))):
        canvas.part(half)
    cuff = box(0.09, hem - 0.07, foot + 0.01, hem + 0.02, 0.02)
    canvas.part(cuff, "trim")
    canvas.part(flip(cuff), "trim")
    canvas.part(box(-0.37, -0.94, 0.37, -0.8, 0.03), "trim")
    canvas.seam([(0, -0.8), (0, -0.3)], 0.02, 160)
    for pocket in ([(0.16, -0.78), (0.37, -0.58)], [(-0.16, -0.78), (-0.37, -0.58)]):
        canvas.seam(pocket, 0.02, 170)
    canvas.mark((0.22, -0.42), 0.12)


def _torso(width: float, hem: float) -> Points:
    right: Points = [
        (0.22, -0.8),
        (0.22, -0.8),
        (0.6, -0.68),
        (0.52, -0.25),
        (width, hem),
        (width, hem),
    ]
    return smooth([(0, -0.76), *right, (0, hem + 0.03), *flip(right)[::-1]])


def _sleeves(canvas: Canvas, sleeve: str, cuff: str, shrink: float = 1.0) -> None:
    """Both sleeves, under the body."""
    if sleeve in ("sleeveless", "strapless"):
        return
    end = {"short sleeve": 0.42, "long sleeve": 1.28}[sleeve]
    x, y = 0.56 * shrink, -0.72 - 0.12 * (1 - shrink) / 0.22
    out = (0.42 * min(end, 0.62), 0.98 * end)
    half: Points = [
        (x - 0.2, y - 0.02),
        (x, y),
        (x + out[0], y + out[1]),
        (x + out[0] - 0.27, y + out[1] + 0.1),
    ]
    half += [(x - 0.14, y + 0.55)]
    band = 0.1
    wrist: Points = [
        half[2],
        half[3],
        (half[3][0] - 0.02, half[3][1] - band),
        (half[2][0] - 0.03, half[2][1] - band),
    ]
    for side in (lambda points: points, flip):
        canvas.part(side(half))
        canvas.part(side(wrist), cuff, 0.7)


def _neck(canvas: Canvas, neck: str) -> None:
    if neck == "v-neck":
        canvas.part([(-0.23, -0.82), (0.23, -0.82), (0, -0.32)], "deep", 0.5)
        canvas.stroke([(-0.23, -0.81), (0, -0.31), (0.23, -0.81)], 0.075, "trim", 0.6)
    elif neck == "turtleneck":
        canvas.part(box(-0.22, -1.0, 0.22, -0.68, 0.07), "main")
        canvas.seam([(-0.22, -0.84), (0.22, -0.84)], 0.02, 140)
    elif neck == "polo collar":
        canvas.part([(-0.2, -0.84), (0.2, -0.84), (0, -0.5)], "deep", 0.5)
        canvas.part(box(-0.055, -0.62, 0.055, -0.22), "trim", 0.5)
        wing: Points = [(0.02, -0.58), (0.2, -0.86), (0.36, -0.68), (0.2, -0.48)]
        canvas.part(wing, "trim")
        canvas.part(flip(wing), "trim")
    else:
        canvas.part(ellipse((0, -0.78), 0.24, 0.15), "deep", 0.5)
        canvas.stroke(ellipse((0, -0.79), 0.25, 0.17, 0, 180), 0.075, "trim", 0.6)


def _waist(canvas: Canvas, waist: str) -> None:
    if waist == "belted":
        canvas.part(box(-0.29, -0.24, 0.29, -0.12, 0.02), "black")
        canvas.part(box(-0.07, -0.26, 0.07, -0.1, 0.02), "gold")
    elif waist == "bow":
        canvas.part(box(-0.28, -0.23, 0.28, -0.14, 0.02), "trim")
        knot: Points = [(0, -0.18), (0.2, -0.3), (0.22, -0.06)]
        for wing in (knot, flip(knot)):
            canvas.part(wing, "trim")
        canvas.dot((0, -0.18), 0.05, "trim")
    else:
        canvas.seam([(-0.27, -0.17), (0.27, -0.17)], 0.02, 120)


def _sharp_top(outline: Points, top: Points) -> Points:
    """The outline with the corners of its first and last two points kept sharp."""
    keep = {top[0], top[1], (-top[0][0], top[0][1]), (-top[1][0], top[1][1])}
    return [copy for point in outline for copy in ([point, point] if point in keep else [point])]
