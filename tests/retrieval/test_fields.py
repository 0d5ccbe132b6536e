"""xmodal/retrieval/fields.py: the fields of a product, each by itself."""

import doctest

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.retrieval import fields
from xmodal.retrieval.embed import embed_here, embed_texts
from xmodal.retrieval.fields import embed_fields
from xmodal.retrieval.store import Plan


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    products = [make_product(n, attributes=[("colour", "red"), ("size", "42")]) for n in range(5)]
    products[0]["images"] = []
    products[1] |= {"images": [make_picture(1), make_picture(11)], "title": ""}
    products[2]["attributes"] = [("size", "42")]
    catalog, encoder = make_catalog(folder / "catalog", products), tiny_encoder()
    store = embed_here(encoder, catalog, folder / "store", Plan("vector", "e", "c", 5))
    return embed_fields(encoder, catalog, store, np.arange(3)), store, encoder


def test_a_picture_field_is_the_unit_mean_of_a_products_pictures(shop):
    found, store, _ = shop
    mean = store.column("vector")[:2].mean(axis=0)
    np.testing.assert_allclose(
        found.vector_PD["picture"][1], mean / np.linalg.norm(mean), atol=1e-6
    )
    np.testing.assert_allclose(found.vector_PD["picture"][2], store.column("vector")[2], atol=1e-6)


def test_a_missing_field_is_zero(shop):
    found = shop[0].vector_PD
    lacks = {name: [not row.any() for row in vectors] for name, vectors in found.items()}
    assert lacks == {
        "picture": [True, False, False],
        "title": [False, True, False],
        "attributes": [False, False, True],
    }


def test_texts_are_embedded_each_for_itself(shop):
    found, _, encoder = shop
    title, line = embed_texts(encoder, ["red shoe 0", "red"])
    np.testing.assert_allclose(found.vector_PD["title"][0], title, atol=1e-6)
    np.testing.assert_allclose(found.vector_PD["attributes"][0], line, atol=1e-6)


def test_the_worked_example_holds():
    assert doctest.testmod(fields).failed == 0
