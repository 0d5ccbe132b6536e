"""Healthy runs of several seeds, sizes, bases and kinds of text: nothing is found, to their end."""

import pytest

from tests.training.doctor.ward import CHINESE, admit, clip_base, goods, rows_of, settings_for, take
from tests.training.toy import tiny_base


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {"towers": tiny_base(folder / "towers"), "clip": clip_base(folder / "clip")}


def chinese(good):
    return CHINESE[good.colour] + CHINESE[good.shape]


def serial(good):
    return f"{good.title} by maker {id(good) % 9973}"


RUNS = {
    "towers": (goods(200, 1), None, {}),
    "another seed": (goods(200, 2), None, {"training__epochs": 3}),
    "more products": (goods(320, 3), None, {}),
    "a small shop": (goods(100, 4), None, {"training__batch": 16}),
    "short titles": (goods(160, 5), lambda good: good.shape, {"training__epochs": 3}),
    "few classes": (goods(200, 6), lambda good: f"{good.colour} thing", {}),
    "titles with a number each": (goods(200, 7), serial, {}),
    "Chinese titles": (goods(200, 8), chinese, {}),
    "many pictures a product": (goods(120, 9, pictures=3), None, {}),
    "open_clip": (goods(160, 10), None, {"base": "clip", "training__learning_rate": 1e-3}),
}


@pytest.mark.parametrize("name", RUNS)
def test_nothing_is_found(name, bases, tmp_path):
    made, title, changes = RUNS[name]
    changes = dict(changes)
    settings = settings_for(bases[changes.pop("base", "towers")], **changes)
    rows = rows_of(made, tmp_path / "shop", title or (lambda good: good.title))
    patient = admit(tmp_path, take(tmp_path, rows, settings), settings)
    assert patient.before() == set()
    assert patient.during() == set()
