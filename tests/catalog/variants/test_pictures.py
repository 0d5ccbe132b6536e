"""xmodal/catalog/variants/pictures.py: the same picture, the worse the severer."""

import numpy as np
import pytest

from tests.shops import drawn_shirts
from xmodal.catalog.variants.pictures import AMOUNTS, vary_picture
from xmodal.matcher.inputs import decode

SHIRT = decode(drawn_shirts(1)[0])


def distance(picture):
    return np.abs(np.asarray(picture, np.float32) - np.asarray(SHIRT, np.float32)).mean()


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_severer_variant_is_farther_from_the_picture(name):
    far = [distance(vary_picture(SHIRT, name, severity, 3)) for severity in range(1, 6)]
    assert far == sorted(far)
    assert 0 < far[0] < far[-1]


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_variant_is_a_function_of_its_seed_and_keeps_the_size(name):
    first = vary_picture(SHIRT, name, 3, 0)
    assert first.tobytes() == vary_picture(SHIRT, name, 3, 0).tobytes()
    assert (first.size, first.mode) == (SHIRT.size, "RGB")


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_picture_of_few_pixels_has_variants_too(name):
    tiny = SHIRT.resize((6, 8))
    assert vary_picture(tiny, name, 5, 0).size == (6, 8)


def test_an_occlusion_covers_the_area_that_it_states():
    grey = np.asarray(vary_picture(SHIRT, "occlusion", 5, 0)) == 127
    assert grey.all(axis=2).mean() == pytest.approx(AMOUNTS["occlusion"][1][4] / 100, abs=0.02)


def test_noise_has_the_deviation_that_it_states():
    middle = SHIRT.point(lambda _: 128)
    noisy = np.asarray(vary_picture(middle, "noise", 1, 0), np.float32)
    assert noisy.std() == pytest.approx(AMOUNTS["noise"][1][0], rel=0.05)
