"""xmodal/catalog/demo: curves, colours, patterns, textures, brand marks."""

from random import Random

import numpy as np
import pytest

from xmodal.catalog.demo.curves import box, ellipse, path, smooth
from xmodal.catalog.demo.emblems import BRANDS, emblem
from xmodal.catalog.demo.palette import PALETTE, contrasts, dye, mix
from xmodal.catalog.demo.patterns import PATTERNS, pattern_mask
from xmodal.catalog.demo.textures import TEXTURES, texture


def test_a_curve_goes_through_its_points():
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
    assert set(corners) <= set(smooth(corners))


def test_a_starred_corner_stays_sharp():
    sharp = path("0,0* 100,0* 100,100*")
    assert all(
        x == pytest.approx(1) or y == pytest.approx(0) or x == pytest.approx(y) for x, y in sharp
    )


def test_ellipses_and_boxes_keep_to_their_frame():
    assert max(x for x, _ in ellipse((0, 0), 0.5, 0.25)) == pytest.approx(0.5)
    assert max(y for _, y in box(-1, -1, 1, 1, 0.2)) == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(PALETTE))
def test_a_dye_is_nearest_to_its_own_colour(name):
    rng = Random(0)
    near = [
        min(PALETTE, key=lambda other: _apart(colour, PALETTE[other]))
        for colour in (dye(name, rng) for _ in range(50))
    ]
    assert near.count(name) >= 45


def test_a_half_mix_is_the_middle():
    assert mix((0, 0, 0), (200, 100, 50), 0.5) == (100, 50, 25)


def test_white_dots_on_beige_are_no_pattern():
    assert contrasts("black", "white")
    assert not contrasts("beige", "white")


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_a_pattern_shows_both_colours(name):
    mask = np.asarray(pattern_mask(name, 160, Random(0), 0.0), dtype=float) / 255
    assert 0.08 < mask.mean() < 0.75


@pytest.mark.parametrize("name", sorted(TEXTURES))
def test_a_texture_keeps_the_colour_on_the_whole(name):
    levels = np.asarray(texture(name, 128), dtype=float)
    assert abs(levels.mean() - 128) < 26
    assert levels.std() > 3


def test_a_smooth_material_has_no_texture():
    assert texture("cotton", 64) is None


def test_no_two_brands_share_a_mark():
    marks = [repr(emblem(brand)) for brand in BRANDS]
    assert len(set(marks)) == len(BRANDS)


def _apart(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
