"""xmodal/evaluation/calibration.py and training/calibrate.py, end to end on a tiny shop."""

from dataclasses import replace

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from tests.homes import embed, tiny_calibration, tiny_reranker
from xmodal.evaluation.calibration import calibration
from xmodal.evaluation.judge import Contender, evaluate
from xmodal.evaluation.sections import Judged
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.settings import Settings
from xmodal.training.calibrate import calibrate

SETTINGS = Settings.model_validate(
    {
        "evaluation": {"bootstrap": 100},
        "serve": {"rerank_depth": 12},
        "reranker": {"candidates": 12},
    }
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Sixty products of ten kinds, a query of val and of dev for each of thirty."""
    folder = tmp_path_factory.mktemp("shop")
    products = [
        make_product(
            n, attributes=[("kind", f"kind{n % 10}")], images=[make_picture(n % 10, (40, n + 9))]
        )
        for n in range(60)
    ]
    asked = {
        part: {f"shoe {part} {n}": {f"p{n:03d}": 1} for n in range(30)} for part in ("val", "dev")
    }
    catalog, encoder = make_catalog(folder / "catalog", products, asked), tiny_encoder()
    return catalog, encoder, embed(catalog, encoder, folder / "store")


def section_of(shop, worth):
    catalog, encoder, store = shop
    matcher = Matcher(encoder, tiny_reranker(encoder), Facts(), worth)
    contenders = [Contender("base", Matcher(encoder, None, Facts()), store)]
    contenders.append(Contender("tuned", matcher, store))
    evaluation = evaluate(contenders, catalog, ["dev"], SETTINGS)
    return calibration(Judged(contenders, catalog, evaluation, SETTINGS))


def test_a_matcher_that_does_not_say_has_no_section(shop):
    assert section_of(shop, None) is None


def test_what_was_fitted_on_val_is_tried_on_dev(shop):
    catalog, encoder, store = shop
    worth = calibrate(encoder, tiny_reranker(encoder), catalog, store, SETTINGS)
    assert {name.partition("/")[0] for name in worth.figures} == {"first", "reranked"}
    assert worth.figures["first/queries"] == 30
    section = section_of(shop, worth)
    assert [row[:3] for row in section.tables[0].rows] == [
        ("val, cross-fitted", "first stage", 30),
        ("val, cross-fitted", "reranked", 30),
        ("dev", "first stage", 30),
        ("dev", "reranked", 30),
    ]
    assert section.data["val, cross-fitted/first"]["ece"] == worth.figures["first/ece"]
    assert len(section.pictures) == 2
    # Random weights know nothing: what they said of themselves was further from the truth.
    assert section.data["dev/reranked"]["ece"] < 0.1


def test_who_says_that_nothing_fits_is_caught_by_its_false_alarms(shop):
    section = section_of(shop, tiny_calibration(threshold=99.0))
    assert section.data["dev/first"]["false_alarms"] == 1.0
    assert section.data["dev/first"]["detected_hidden"] == 1.0
    assert "100.0% of the queries that the shop can answer" in section.verdict
    trusting = section_of(shop, tiny_calibration(threshold=-99.0))
    assert trusting.data["dev/first"]["detected_foreign"] == 0.0


def test_a_shop_of_too_few_queries_is_told_nothing(shop, tmp_path):
    _, encoder, store = shop
    few = {"val": {f"shoe {n}": {f"p{n:03d}": 1} for n in range(8)}}
    catalog = make_catalog(tmp_path / "catalog", [make_product(n) for n in range(60)], few)
    assert calibrate(encoder, tiny_reranker(encoder), catalog, store, SETTINGS) is None


def test_one_scale_alone_is_tried_alone(shop):
    worth = replace(tiny_calibration(), reranked=None)
    assert [row[1] for row in section_of(shop, worth).tables[1].rows] == ["first stage"]
    assert np.isfinite([row[2] for row in section_of(shop, worth).tables[1].rows]).all()
