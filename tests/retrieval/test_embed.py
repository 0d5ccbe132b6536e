"""xmodal/retrieval/embed.py: features are the encoder's own, at their place in the catalogue."""

import numpy as np
import pytest
import torch

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.errors import MatcherError
from xmodal.matcher.tokens import dequantise
from xmodal.retrieval.embed import (
    embed_here,
    embed_pictures,
    embed_texts,
    find_trunk,
    image_features,
)
from xmodal.retrieval.store import Plan

PLAN = Plan("vector", "e", "c", 20)


@pytest.fixture
def catalog(tmp_path):
    pictures = {0: [], 3: [make_picture(3), make_picture(33)]}
    products = [make_product(n, images=pictures.get(n, [make_picture(n)])) for n in range(20)]
    return make_catalog(tmp_path / "catalog", products)


def by_hand(encoder, catalog):
    pictures = [encoder.inputs.image(encoded) for _, _, encoded in catalog.images(0, 20)]
    with torch.no_grad():
        return encoder.encode_image(torch.stack(pictures)).numpy()


def test_every_picture_has_its_vector_and_place(tmp_path, catalog):
    encoder = tiny_encoder()
    store = embed_here(encoder, catalog, tmp_path / "store", PLAN)
    assert store.product_row.tolist() == [1, 2, 3, 3, *range(4, 20)]
    assert store.image_no.tolist() == [0, 0, 0, 1] + [0] * 16
    np.testing.assert_allclose(store.column("vector"), by_hand(encoder, catalog), atol=1e-5)


def test_a_range_of_products_is_that_part_of_all(catalog):
    batches = image_features(tiny_encoder(), catalog, 2, 5, "vector", batch=2)
    assert [list(batch.product_row) for batch in batches] == [[2, 3], [3, 4]]


def test_heads_on_cached_trunks_give_the_vectors(catalog):
    encoder = tiny_encoder()
    batches = list(image_features(encoder, catalog, 0, 20, "trunk"))
    trunk = {name: torch.from_numpy(x) for name, x in batches[0].arrays.items()}
    with torch.no_grad():
        vectors = encoder.image_head(trunk).numpy()
    # Cached in float16.
    np.testing.assert_allclose(vectors, by_hand(encoder, catalog), atol=5e-3)


def test_tokens_come_with_their_step(catalog):
    encoder = tiny_encoder()
    (batch,) = image_features(encoder, catalog, 0, 20, "vector+tokens")
    tokens = dequantise(
        torch.from_numpy(batch.arrays["tokens"]), torch.from_numpy(batch.arrays["scale"])
    )
    pixels = encoder.inputs.images([encoded for _, _, encoded in catalog.images(0, 20)])
    with torch.no_grad():
        want = encoder.patch_tokens(encoder.image_trunk(pixels))
    assert batch.arrays["tokens"].dtype == np.int8
    half_step = batch.arrays["scale"].max() / 2
    torch.testing.assert_close(tokens, want, atol=half_step * 1.01, rtol=0)


def test_a_second_call_embeds_nothing(tmp_path, catalog):
    done = []
    embed_here(tiny_encoder(), catalog, tmp_path / "store", PLAN, done.append)
    embed_here(tiny_encoder(seed=1), catalog, tmp_path / "store", PLAN, done.append)
    assert done == [20]


def test_texts_are_encoded_in_their_order():
    encoder = tiny_encoder()
    texts = ["red shoe", "a much longer blue shirt", "bag", "红色鞋子"]
    with torch.no_grad():
        want = [encoder.encode_text(encoder.inputs.texts([text]))[0].numpy() for text in texts]
    np.testing.assert_allclose(embed_texts(encoder, texts, batch=3), want, atol=1e-5)


def test_text_trunks_feed_the_head():
    encoder = tiny_encoder()
    trunk = embed_texts(encoder, ["red shoe", "bag"], what="trunk")
    with torch.no_grad():
        vectors = encoder.text_head({k: torch.from_numpy(x) for k, x in trunk.items()}).numpy()
    np.testing.assert_allclose(vectors, embed_texts(encoder, ["red shoe", "bag"]), atol=1e-5)


def test_no_text_is_no_row():
    assert embed_texts(tiny_encoder(), []).shape == (0, 16)


def test_a_picture_outside_the_catalogue_is_embedded_alike(catalog):
    encoder = tiny_encoder()
    found = embed_pictures(encoder, [make_picture(5)])
    np.testing.assert_allclose(found[0], by_hand(encoder, catalog)[5], atol=1e-5)


def test_training_mode_survives():
    encoder = tiny_encoder(dropout=0.5).train()
    first, second = (embed_texts(encoder, ["red shoe"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert encoder.training


def test_an_encoder_that_gives_no_numbers_is_refused():
    encoder = tiny_encoder()
    with torch.no_grad():
        next(encoder.text_out.parameters()).fill_(float("nan"))
    with pytest.raises(MatcherError, match="no numbers"):
        embed_texts(encoder, ["red shoe"])


def test_heads_on_a_trunk_store_fill_the_store_of_the_whole_forward(tmp_path, catalog):
    encoder = tiny_encoder()
    of = catalog.manifest.fingerprint
    trunk = tmp_path / "home" / "cache" / "any" / "images"
    trunk.mkdir(parents=True)
    embed_here(encoder, catalog, trunk, Plan("trunk", "e", of, 20))
    assert find_trunk(tmp_path / "home", encoder, catalog) == trunk
    stores = [
        embed_here(encoder, catalog, tmp_path / name, Plan("vector", "e", of, 20), trunk=kept)
        for name, kept in (("heads", trunk), ("whole", None))
    ]
    heads, whole = (store.column("vector") for store in stores)
    np.testing.assert_allclose(heads, whole, atol=5e-3)
    np.testing.assert_array_equal(stores[0].image_no, stores[1].image_no)


def test_the_trunk_of_another_encoder_is_not_taken(tmp_path, catalog):
    trunk = tmp_path / "home" / "cache" / "any" / "images"
    trunk.mkdir(parents=True)
    of = catalog.manifest.fingerprint
    embed_here(tiny_encoder(seed=1), catalog, trunk, Plan("trunk", "e", of, 20))
    assert find_trunk(tmp_path / "home", tiny_encoder(), catalog) is None
