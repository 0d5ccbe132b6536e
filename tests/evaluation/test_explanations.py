"""xmodal/evaluation/explanations.py: first hits of the judged run, taken apart."""

import pytest

from tests.catalogs import make_product
from tests.evaluation.planted import judged_as
from xmodal.evaluation import explanations as module
from xmodal.evaluation.explanations import explanations

NAMES = ("red", "blue", "green", "black", "white", "pink")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    products = [make_product(n, title=f"{name} shoe", split="dev") for n, name in enumerate(NAMES)]
    queries = {f"{name} shoe": {f"p{n:03d}": 1} for n, name in enumerate(NAMES)}
    folder = tmp_path_factory.mktemp("explained")
    return judged_as(folder, products, queries, lambda p: str(p["title"]))


def test_first_hits_are_shown_with_words_and_regions(judged, monkeypatch):
    monkeypatch.setattr(module, "PAIRS", 4)
    section = explanations(judged)
    assert section.data["pairs"] == 4
    assert len(section.pictures) == 4
    assert all(picture.svg.startswith("<svg") for picture in section.pictures)
    assert [row[0] for row in section.tables[0].rows] == ["words", "regions"]
    assert section.data["words_heaviest"] >= section.data["words_random"]
    assert section.data["regions_heaviest"] >= section.data["regions_random"]


def test_no_hit_no_section(judged, monkeypatch):
    monkeypatch.setattr(module, "PAIRS", 0)
    assert explanations(judged) is None
