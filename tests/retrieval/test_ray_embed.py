"""xmodal/retrieval/ray_embed.py: two actors give what one process gives."""

import shutil

import numpy as np
import pytest
import ray
from ray.util.state import list_actors

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.matcher.saved import encoder_fingerprint, save_encoder
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.ray_embed import embed_catalog
from xmodal.retrieval.store import Plan, begin_store, is_whole, shard_path

PRODUCTS = 1200  # three shards


@pytest.fixture
def home(tmp_path):
    """An encoder's folder, and the pictures that products share."""
    save_encoder(tiny_encoder(), tmp_path / "encoder")
    return tmp_path, [make_picture(n) for n in range(5)]


def by_hand(home, products):
    """A catalogue of `products`, and the store that one process makes of it."""
    folder, pictures = home
    rows = [make_product(n, images=[pictures[n % 5]]) for n in range(products)]
    catalog = make_catalog(folder / "catalog", rows)
    made_by = encoder_fingerprint(folder / "encoder")
    plan = Plan("vector", made_by, catalog.manifest.fingerprint, products)
    return catalog, plan, embed_here(tiny_encoder(), catalog, folder / "by-hand", plan)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_actors_fill_the_store_of_one_process_and_go_on_where_they_stopped(home):
    catalog, plan, want = by_hand(home, PRODUCTS)
    done: list[int] = []
    embedded = home[0] / "by-actors"
    embedded.mkdir()
    begin_store(embedded, plan)
    first = shutil.copy(shard_path(home[0] / "by-hand", 0), shard_path(embedded, 0))
    untouched = first.stat().st_mtime_ns
    store = embed_catalog(
        catalog.path, home[0] / "encoder", embedded, "vector", progress=done.append
    )
    np.testing.assert_allclose(store.column("vector"), want.column("vector"), atol=1e-5)
    np.testing.assert_array_equal(store.product_row, np.arange(PRODUCTS))
    assert sum(done) == PRODUCTS
    assert first.stat().st_mtime_ns == untouched
    assert is_whole(embedded, plan)


@pytest.mark.usefixtures("ray_cluster")
def test_a_catalogue_of_one_shard_starts_no_actor(home):
    catalog, _, want = by_hand(home, 5)
    address = ray.get_runtime_context().gcs_address
    before = {actor.actor_id for actor in list_actors(address=address)}
    done: list[int] = []
    store = embed_catalog(
        catalog.path, home[0] / "encoder", home[0] / "out", "vector", progress=done.append
    )
    np.testing.assert_allclose(store.column("vector"), want.column("vector"), atol=1e-5)
    assert sum(done) == 5
    assert {actor.actor_id for actor in list_actors(address=address)} == before
