"""xmodal/training/picture_size.py: larger pictures only where a budget pays for enough epochs."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import CAPTIONS, make_picture
from tests.training.toy import tiny_base
from xmodal.matcher.families import make_encoder
from xmodal.settings import Settings
from xmodal.storage import read_json, write_json_atomic
from xmodal.training import picture_size
from xmodal.training.history import write_history
from xmodal.training.picture_size import affordable, size_chooser
from xmodal.training.prepare import CLAIM_FILE

TREE = {"index": {"actors": 1}, "training": {"workers": 1, "batch": 4}}
EPOCH = {"loss": 1.0, "map": 0.5, "train_s": 30.0, "validate_s": 10.0}


@pytest.fixture
def catalog(tmp_path):
    rows = [make_product(n, images=[make_picture(n)]) for n in range(8)]
    return make_catalog(tmp_path / "catalog", rows)


@pytest.fixture
def encoder(tmp_path):
    settings = Settings.model_validate({"matcher": {"base": tiny_base(tmp_path / "base")}})
    return make_encoder(settings.matcher, CAPTIONS, [make_picture(0)])


def begin(runs: Path, name: str, budget: str) -> Path:
    (runs / name).mkdir(parents=True)
    write_json_atomic(runs / name / CLAIM_FILE, {"budget": budget})
    return runs / name


def choose(catalog, encoder, folder, **more):
    settings = Settings.model_validate(TREE | more)
    return size_chooser(catalog, settings, 1)(folder, encoder)


def test_more_time_pays_for_more_epochs(catalog, encoder):
    settings = Settings.model_validate(TREE)
    few, many = (affordable(encoder, catalog, settings, time_s) for time_s in (400, 4_000))
    assert affordable(encoder, catalog, settings, 10) == 0
    assert 0 < few < many


def test_a_long_budget_buys_larger_pictures_and_says_why(catalog, encoder, tmp_path, monkeypatch):
    height, width = encoder.spec.image_size
    monkeypatch.setattr(picture_size, "affordable", lambda *_: 20)
    folder = begin(tmp_path / "runs", "train-a", "2h")
    assert choose(catalog, encoder, folder, budget="2h") == (height * 3 // 2, width * 3 // 2)
    assert "2h would pay for 20 epochs" in read_json(folder / "size.json")["why"]
    monkeypatch.setattr(picture_size, "affordable", lambda *_: 3)
    assert choose(catalog, encoder, folder, budget="2h") is None
    assert "too few" in read_json(folder / "size.json")["why"]


def test_a_size_that_was_given_stays(catalog, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_size, "affordable", lambda *_: 99)
    folder = begin(tmp_path / "runs", "train-a", "2h")
    assert choose(catalog, encoder, folder) is None
    by_hand = {"matcher": {"image_size": (32, 32)}}
    assert choose(catalog, encoder, folder, budget="2h", **by_hand) is None


def test_a_longer_run_keeps_the_size_of_the_shorter_one(catalog, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_size, "affordable", lambda *_: 99)
    short = begin(tmp_path / "runs", "train-short", "1h")
    write_history(short, [EPOCH])
    (short / "start").mkdir()
    encoder.spec.save(short / "start" / "spec.json")
    folder = begin(tmp_path / "runs", "train-long", "2h")
    assert choose(catalog, encoder, folder, budget="2h") is None
    replace(encoder.spec, image_size=(48, 48)).save(short / "start" / "spec.json")
    assert choose(catalog, encoder, folder, budget="2h") == (48, 48)
