"""xmodal/evaluation/gallery.py: what is searched, and what may not be asked of it."""

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.errors import QueriesError
from xmodal.evaluation.gallery import check_titles, open_gallery
from xmodal.matcher.fields import FieldWeights
from xmodal.retrieval.embed import embed_here, embed_texts
from xmodal.retrieval.store import Plan


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    products = [make_product(n, split="dev" if n % 2 else "train") for n in range(12)]
    products[0]["images"] = []
    products[1]["images"] = [make_picture(1), make_picture(11)]
    products[2]["title"] = ""
    catalog, encoder = make_catalog(folder / "catalog", products), tiny_encoder()
    store = embed_here(encoder, catalog, folder / "store", Plan("vector+tokens", "e", "c", 12))
    return catalog, store, encoder


def test_the_gallery_is_every_product_with_a_picture(shop):
    gallery = open_gallery(*shop)
    assert gallery.shown == {f"p{n:03d}" for n in range(1, 12)}
    np.testing.assert_array_equal(gallery.vector_ND, shop[1].column("vector"))


def test_a_split_narrows_it(shop):
    gallery = open_gallery(*shop, split="dev")
    assert gallery.shown == {f"p{n:03d}" for n in range(1, 12, 2)}
    run = gallery.search(["q"], gallery.first_pictures(["p003"]), 3)
    assert next(iter(run["q"])) == "p003"
    np.testing.assert_array_equal(shop[1].product_row[gallery.store_row_N], gallery.product_row_N)


def test_an_unknown_split_names_the_known_ones(shop):
    with pytest.raises(
        QueriesError, match="'test' has a picture; the catalogue has the splits dev, train"
    ):
        open_gallery(*shop, split="test")


def test_with_titles_a_vector_is_picture_plus_title(shop):
    catalog, store, encoder = shop
    gallery = open_gallery(catalog, store, encoder, "product")
    both = store.column("vector")[3] + embed_texts(encoder, ["red shoe 3"])[0]
    assert gallery.product_row_N[3] == 3
    np.testing.assert_allclose(gallery.vector_ND[3], both / np.linalg.norm(both), atol=1e-5)


def test_without_a_title_it_stays_the_picture(shop):
    gallery = open_gallery(*shop, "product")
    np.testing.assert_allclose(gallery.vector_ND[2], shop[1].column("vector")[2], atol=1e-6)


WEIGHTS = FieldWeights({"picture": 0.5, "title": 0.3, "attributes": 0.2})


def test_with_learnt_weights_a_product_is_one_vector_of_all_its_fields(shop):
    catalog, store, encoder = shop
    gallery = open_gallery(catalog, store, encoder, "product", weights=WEIGHTS)
    assert gallery.product_row_N.tolist() == list(range(1, 12))
    mean = store.column("vector")[:2].sum(axis=0)  # p001 has two pictures, the store's first
    title, colour = embed_texts(encoder, ["blue shoe 1", "blue"])
    whole = 0.5 * mean / np.linalg.norm(mean) + 0.3 * title + 0.2 * colour
    np.testing.assert_allclose(gallery.vector_ND[0], whole / np.linalg.norm(whole), atol=1e-5)
    np.testing.assert_array_equal(gallery.store_row_N[:2], [0, 2])  # its first picture, p002's


def test_weights_change_nothing_of_pictures_alone(shop):
    gallery = open_gallery(*shop, weights=WEIGHTS)
    np.testing.assert_array_equal(gallery.vector_ND, shop[1].column("vector"))


def test_a_query_that_is_its_products_title_is_refused():
    queries = {"q1": "red shoe", "q2": " Blue  BAG "}
    qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
    titles = {"a": "red boot", "b": "blue bag"}
    with pytest.raises(QueriesError, match=r"1 of 2 queries are the title .* 'q2'"):
        check_titles(queries, qrels, titles, {"a", "b"})
    check_titles(queries, qrels, titles, {"a"})
