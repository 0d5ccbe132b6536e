"""xmodal/training/fields.py: the weights find the field that tells, and bear missing ones."""

import numpy as np
import pytest
import torch

from tests.catalogs import make_product
from tests.evaluation.planted import SETTINGS, judged_as
from xmodal.matcher.fields import FIELDS, FieldWeights
from xmodal.retrieval.fields import Fields
from xmodal.training.fields import fit_fields, learn_weights

N, D = 60, 16
NAMES = [f"{a}{b}" for a in "abcdefgh" for b in "stuvwxyz"][:N]


def unit(rows, seed):
    drawn = np.random.default_rng(seed).normal(size=(rows, D)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def learn(vectors, scale=20.0):
    """Query q seeks product q, and is what an informative field says."""
    fields = Fields(np.arange(N), vectors)
    return learn_weights(fields, torch.from_numpy(unit(N, 0)), torch.eye(N) > 0, scale, seed=0)


@pytest.mark.parametrize("telling", FIELDS)
def test_the_field_that_tells_gets_the_weight(telling):
    noise = {name: unit(N, seed) for seed, name in enumerate(FIELDS, 1)}
    weights = learn(noise | {telling: unit(N, 0)})
    assert sum(weights.values()) == pytest.approx(1)
    assert all(weight > 0 for weight in weights.values())
    assert weights[telling] > 2 / 3


def test_two_fields_that_tell_alike_share_it():
    weights = learn({"picture": unit(N, 0), "title": unit(N, 0), "attributes": unit(N, 3)})
    assert weights["picture"] == pytest.approx(weights["title"], abs=0.1)
    assert weights["attributes"] < 0.2


def test_products_that_lack_fields_are_found_by_what_they_have():
    vectors = {"picture": unit(N, 0), "title": unit(N, 0), "attributes": unit(N, 3)}
    vectors = {name: vector.copy() for name, vector in vectors.items()}
    vectors["picture"][::3] = 0
    vectors["title"][1::3] = 0
    vectors["attributes"][::2] = 0
    weights = learn(vectors)
    assert all(np.isfinite(weight) for weight in weights.values())
    fused = FieldWeights(weights).fuse(vectors)
    np.testing.assert_allclose(np.linalg.norm(fused, axis=1), 1, rtol=1e-5)
    assert ((unit(N, 0) @ fused.T).argmax(axis=1) == np.arange(N)).mean() > 0.95


def shop(folder, query="buy {}", shown_as=lambda p: "same", **changes):
    """Titles tell a name, pictures and attributes nothing; the encoder hears names alone."""
    products = [
        make_product(n, title=f"new {name}", split="val", attributes=[("colour", "red")])
        for n, name in enumerate(NAMES)
    ]
    queries = {query.format(name): {f"p{n:03d}": 1} for n, name in enumerate(NAMES)}
    hears = lambda text: next((word for word in text.split() if word in NAMES), text)  # noqa: E731
    return judged_as(folder, products, queries, shown_as, hears=hears, part="val")


def fit(judged):
    contender = judged.contenders[0]
    return fit_fields(contender.matcher.encoder, judged.catalog, contender.store, SETTINGS)


def test_fitted_on_a_shop_whose_titles_tell_all(tmp_path):
    found = fit(shop(tmp_path))
    assert max(found.weights, key=found.weights.__getitem__) == "title"
    assert found.figures["val queries"] == N
    assert found.figures["fused mrr@10"] > 0.9 > 0.2 > found.figures["pictures alone mrr@10"]


def test_queries_that_are_titles_fit_nothing(tmp_path):
    assert fit(shop(tmp_path, query="New  {}")) is None


def test_it_is_the_same_each_time(tmp_path):
    judged = shop(tmp_path)
    assert fit(judged) == fit(judged)
