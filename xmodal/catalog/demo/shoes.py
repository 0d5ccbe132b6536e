"""Shoes, seen from the side: sneaker, boot, heels."""

from collections.abc import Mapping

from xmodal.catalog.demo.canvas import Canvas
from xmodal.catalog.demo.curves import Points, box, path, smooth

Parts = Mapping[str, str]


def draw_sneaker(canvas: Canvas, parts: Parts) -> None:
    """A sneaker: top, sole."""
    top = -0.62 if parts["top"] == "high-top" else -0.28
    sole = {"chunky sole": 0.26, "flat sole": 0.12}[parts["sole"]]
    collar = round(top * 100)
    canvas.part(path(f"-86,42* -82,5 -78,{collar}* -30,{collar + 4}* -6,-10 42,8 84,22 90,42*"))
    canvas.part(path("42,42* 50,14 84,22 90,42*"), "trim")
    canvas.part(path("-86,42* -84,12 -60,16 -50,42*"), "trim")
    canvas.part([(-0.8, top), (-0.3, top + 0.04), (-0.36, top + 0.12), (-0.79, top + 0.09)], "deep")
    for step in range(3 if top > -0.5 else 5):
        x, y = 0.28 - 0.13 * step, 0.02 - (0.09 if top > -0.5 else 0.12) * step
        canvas.stroke([(x - 0.1, y + 0.12), (x + 0.03, y - 0.02)], 0.06, "white", 0.6)
    canvas.part(box(-0.92, 0.38, 0.96, 0.4 + sole, 0.08), "sole")
    canvas.seam([(-0.9, 0.4 + sole * 0.55), (0.94, 0.4 + sole * 0.55)], 0.03, 120)
    if parts["sole"] == "chunky sole":
        for x in range(-8, 10, 2):
            canvas.seam([(x / 10, 0.5 + sole * 0.2), (x / 10, 0.4 + sole)], 0.03, 150)
    canvas.mark((-0.2, 0.2), 0.14)


def draw_boot(canvas: Canvas, parts: Parts) -> None:
    """A boot: shaft, heel, closure."""
    top = {"ankle": -0.25, "mid-calf": -0.6, "knee-high": -0.98}[parts["shaft"]]
    lift = {"flat heel": 0.0, "block heel": 0.16, "stiletto heel": 0.24}[parts["heel"]]
    back = 0.62 - lift
    rim, hip = round(top * 100), round(back * 100)
    upper = f"-62,{hip}* -58,20 -60,{rim}* 0,{rim}* -6,0 12,20 55,36 72,60 72,62 10,62 -20,{hip}"
    _heel(canvas, parts["heel"], -0.62, back)
    canvas.part(path(upper))
    canvas.part(box(-0.62, top - 0.02, 0.02, top + 0.1, 0.03), "trim")
    sole: Points = [(-0.64, back - 0.02), (-0.2, back - 0.02), (0.12, 0.6), (0.76, 0.6)]
    sole += [(0.74, 0.7), (0.08, 0.7), (-0.24, back + 0.07), (-0.64, back + 0.07)]
    canvas.part(sole, "rubber")
    if parts["closure"] == "laced":
        for step in range(4):
            y = 0.16 - 0.13 * step
            if y > top + 0.1:
                canvas.stroke([(-0.16, y + 0.06), (0.06, y - 0.02)], 0.055, "sole", 0.6)
    elif parts["closure"] == "buckled":
        canvas.stroke([(-0.58, 0.14), (0.0, 0.06)], 0.1, "trim")
        canvas.part(box(-0.2, 0.0, -0.06, 0.17, 0.02), "gold")
    else:
        canvas.seam([(-0.3, top + 0.1), (-0.3, 0.4)], 0.03, 200)
        canvas.dot((-0.3, top + 0.16), 0.04, "steel")
    canvas.mark((-0.42, min(0.34, top + 0.62)), 0.12)


def draw_heels(canvas: Canvas, parts: Parts) -> None:
    """Heeled shoes: heel, toe, strap."""
    lift = {"kitten heel": 0.3, "block heel": 0.5, "stiletto heel": 0.68}[parts["heel"]]
    back = 0.62 - lift
    _heel(canvas, parts["heel"], -0.74, back)
    side: Points = [(-0.78, back), (-0.78, back), (-0.8, back - 0.2), (-0.78, back - 0.46)]
    side += [(-0.78, back - 0.46), (-0.62, back - 0.3), (-0.3, back + 0.02), (0.05, 0.24)]
    side += [(0.36, 0.26), (0.36, 0.26), (0.7, 0.44), (0.92, 0.62), (0.92, 0.62)]
    side += [(0.3, 0.64), (-0.1, back + 0.44 * lift + 0.1), (-0.4, back + 0.16)]
    canvas.part(smooth(side))
    if parts["toe"] == "open toe":
        canvas.part(path("62,44 92,50 90,64 64,60"), "rubber", 0.5)
        canvas.stroke([(0.56, 0.38), (0.66, 0.6)], 0.09, "trim")
    canvas.stroke(
        smooth([(-0.72, back + 0.05), (-0.3, back + 0.3), (0.2, 0.66), (0.84, 0.66)], closed=False),
        0.06,
        "rubber",
        0.5,
    )
    if parts["strap"] == "ankle strap":
        canvas.stroke(
            smooth([(-0.8, back - 0.36), (-0.5, back - 0.46), (-0.22, back - 0.34)], closed=False),
            0.08,
            "trim",
        )
        canvas.stroke([(-0.22, back - 0.34), (-0.3, back + 0.06)], 0.06, "trim")
        canvas.dot((-0.5, back - 0.44), 0.05, "gold")
    elif parts["strap"] == "bow":
        for tip in (-0.14, 0.16):
            canvas.part([(0.46, 0.34), (0.46 + tip, 0.18), (0.46 + tip * 1.2, 0.4)], "trim")
        canvas.dot((0.46, 0.34), 0.05, "trim")
    canvas.mark((-0.5, back + 0.02), 0.11)


def _heel(canvas: Canvas, heel: str, x: float, top: float) -> None:
    floor = 0.7
    if heel == "flat heel":
        canvas.part(box(x - 0.01, top - 0.02, x + 0.4, floor), "rubber")
        return
    thick = {"kitten heel": 0.16, "block heel": 0.3, "stiletto heel": 0.11}[heel]
    foot = thick if heel == "block heel" else 0.07
    start: Points = [(x - 0.02, top - 0.1), (x + 0.34, top + 0.04), (x + thick, top + 0.14)]
    canvas.part([*start, (x + 0.03 + foot, floor), (x + 0.01, floor)], "rubber")
