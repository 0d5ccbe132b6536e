"""xmodal/retrieval/ray_embed.py: two actors give what one process gives."""

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.matcher.saved import save_encoder
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.ray_embed import embed_catalog
from xmodal.retrieval.store import Plan, shard_path

PRODUCTS = 1200  # three shards


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_actors_fill_the_store_of_one_process_and_go_on_where_they_stopped(tmp_path):
    picture = [make_picture(n) for n in range(5)]
    products = [make_product(n, images=[picture[n % 5]]) for n in range(PRODUCTS)]
    catalog, encoder = make_catalog(tmp_path / "catalog", products), tiny_encoder()
    save_encoder(encoder, tmp_path / "encoder")
    done: list[int] = []
    embedded = tmp_path / "by-actors"

    def embed():
        return embed_catalog(
            catalog.path, tmp_path / "encoder", embedded, "vector", progress=done.append
        )

    store = embed()
    plain = Plan("vector", "e", catalog.manifest.fingerprint, PRODUCTS)
    want = embed_here(encoder, catalog, tmp_path / "by-hand", plain)
    np.testing.assert_allclose(store.column("vector"), want.column("vector"), atol=1e-5)
    np.testing.assert_array_equal(store.product_row, np.arange(PRODUCTS))
    assert sum(done) == PRODUCTS

    (embedded / "store.json").unlink()
    shard_path(embedded, 1).unlink()
    untouched = shard_path(embedded, 0).stat().st_mtime_ns
    done.clear()
    assert embed().rows == PRODUCTS
    assert sum(done) == PRODUCTS
    assert shard_path(embedded, 0).stat().st_mtime_ns == untouched
