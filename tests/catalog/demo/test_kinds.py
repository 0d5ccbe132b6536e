"""xmodal/catalog/demo/kinds.py: every kind draws every value of its parts, and they differ."""

import itertools
from random import Random

import pytest
from PIL import ImageChops

from xmodal.catalog.demo.canvas import Canvas, Pose
from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.kinds import KINDS
from xmodal.catalog.demo.paints import Paints

SIZE = 96


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_value_of_each_part_looks_different(name):
    kind = KINDS[name]
    usual = {part: values[0] for part, values in kind.parts.items()}
    for part, values in kind.parts.items():
        drawn = [_draw(name, usual | {part: value}) for value in values]
        for one, other in itertools.pairwise(drawn):
            assert ImageChops.difference(one, other).getbbox() is not None, part


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_product_fills_a_fair_share_of_its_picture(name):
    canvas = _canvas(name, {part: values[-1] for part, values in KINDS[name].parts.items()})
    share = sum(canvas.alpha.histogram()[128:]) / SIZE**2
    assert 0.05 < share < 0.75


def _draw(name, parts):
    return _canvas(name, parts).colour


def _canvas(name, parts):
    kind = KINDS[name]
    design = Design(name, "red", "plain", "", kind.materials[0], "Orbit", tuple(parts.items()))
    canvas = Canvas(SIZE, Pose(), Paints(design, SIZE, 0.0, Random(0)))
    kind.draw(canvas, parts)
    return canvas
