"""Classification, first page, exposure and map: by hand, and on a tiny judged shop."""

import doctest
from math import log2

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.evaluation import classes, exposure
from xmodal.evaluation.classes import class_figures, classification, confusion
from xmodal.evaluation.embedding_map import embedding_map, principal, purity
from xmodal.evaluation.exposure import exposure_shares, relevance_shares
from xmodal.evaluation.first_page import first_page, page_diversity
from xmodal.evaluation.judge import Contender, evaluate
from xmodal.evaluation.sections import Judged
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan
from xmodal.settings import Settings

SETTINGS = Settings.model_validate({"evaluation": {"bootstrap": 100}})
KINDS, BRANDS = ("shoe", "bag"), ("Acme", "Zeta", "<b>Evil")


def looks(n):
    attributes = [("article_type", KINDS[n % 2]), ("brand", BRANDS[n % 3])]
    attributes.append(("gender", ("Men", "Women")[n // 2 % 2]))
    twin = [make_picture(n - n % 2)]  # two products a picture
    return make_product(n, attributes=attributes, images=twin, price=float(n), split="dev")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beyond")
    products = [looks(n) for n in range(36)]
    queries = {f"red {KINDS[n % 2]} {n}": {f"p{n:03d}": 1} for n in range(36)}
    catalog = make_catalog(folder / "c", products, {"dev": queries})
    contenders = []
    for seed, name in enumerate(("base", "tuned")):
        encoder = tiny_encoder(seed=seed)
        store = embed_here(encoder, catalog, folder / name, Plan("vector", name, "c", 36))
        contenders.append(Contender(name, Matcher(encoder, None, Facts()), store))
    return Judged(contenders, catalog, evaluate(contenders, catalog, ["dev"], SETTINGS), SETTINGS)


def test_the_confusion_matrix_by_hand():
    counts = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    found = class_figures(counts)
    assert found.precision_C.tolist() == pytest.approx([1, 1 / 3, 0])
    assert found.recall_C.tolist() == [0.5, 1.0, 0.0]
    assert found.f1_C.tolist() == pytest.approx([2 / 3, 0.5, 0])
    assert (found.accuracy, found.macro_f1) == (0.5, pytest.approx(7 / 18))


def test_products_are_classified_by_the_attribute_of_their_kind(judged):
    found = classification(judged)
    assert found.data["attribute"] == "article_type"
    assert np.sum(found.data["confusion"]["tuned"]) == 36
    accuracy = np.trace(found.data["confusion"]["tuned"]) / 36
    assert found.data["accuracy"]["tuned"] == pytest.approx(accuracy)


def test_two_equal_pictures_are_near_duplicates():
    a, b = np.eye(3, dtype=np.float32)[:2]
    assert page_diversity(np.stack([a, b, a])) == (pytest.approx(2 / 3), True)
    assert page_diversity(np.stack([a, b])) == (1.0, False)
    assert page_diversity(np.stack([a])) == (0.0, False)


def test_coverage_counts_each_product_once(judged):
    found = first_page(judged)
    shown = {p for page in judged.evaluation.headline[-1].top.values() for p in page}
    assert found.data["tuned"]["coverage"] == pytest.approx(len(shown) / 36)
    assert 0 < found.data["tuned"]["near_duplicates"] <= 1
    assert 1 <= found.data["tuned"]["kinds"] <= 2


def test_attention_falls_with_the_rank():
    group_of = {"a": "x", "b": "y", "c": "x"}
    shares = exposure_shares({"q": ["a", "b", "c"]}, group_of)
    total = 1 + 1 / log2(3) + 1 / 2
    assert shares["x"]["q"] == pytest.approx(1.5 / total)
    assert shares["x"]["q"] + shares["y"]["q"] == pytest.approx(1)


def test_relevance_is_spread_by_grade():
    shares = relevance_shares({"q": {"a": 3, "b": 1, "c": 0}}, {"a": "x", "b": "y", "c": "y"})
    assert shares["x"]["q"] == 0.75
    assert shares["y"]["q"] == 0.25


def test_exposure_is_told_by_brand_price_and_gender(judged):
    found = exposure.exposure(judged)
    assert [table.caption for table in found.tables] == [
        "By brand (brand)",
        "By price band",
        "By gender (gender)",
    ]
    for by in {row["by"] for row in found.data["gaps"]}:
        rows = [r for r in found.data["gaps"] if (r["by"], r["system"]) == (by, "tuned")]
        assert sum(row["exposure"] for row in rows) == pytest.approx(1)
        assert sum(row["relevance"] for row in rows) == pytest.approx(1)
    assert "<b>Evil" not in found.pictures[0].svg


def test_the_map_keeps_the_largest_directions():
    draw = np.random.default_rng(0)
    plane = draw.normal(size=(50, 2)) * (5, 2)
    far = np.concatenate([plane, draw.normal(size=(50, 6)) * 0.01], axis=1)
    found = principal(far.astype(np.float32))
    assert np.abs(np.corrcoef(found[:, 0], plane[:, 0])[0, 1]) > 0.99
    assert found.std(0)[0] > found.std(0)[1]


def test_neighbours_of_one_kind_are_pure():
    rows = np.repeat(np.eye(2, dtype=np.float32), 12, axis=0)
    assert purity(rows, ["a"] * 12 + ["b"] * 12) == 1.0


def test_each_contender_has_a_map(judged):
    found = embedding_map(judged)
    assert len(found.pictures) == 2
    assert set(found.data["purity"]) == {"base", "tuned"}


def test_the_worked_examples_hold():
    assert doctest.testmod(classes).failed == 0
    assert doctest.testmod(exposure, optionflags=doctest.ELLIPSIS).failed == 0
