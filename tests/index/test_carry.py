"""xmodal/index/carry.py: an index with the changes folded in, and nothing embedded twice."""

import numpy as np
import pytest

from tests.factories import make_picture
from tests.homes import tiny_home
from xmodal.catalog.changes import ProductFacts, fingerprints
from xmodal.catalog.fold import fold_changes
from xmodal.catalog.store import current_catalog
from xmodal.index.carry import carry_over
from xmodal.index.keeper import Keeper, Put, TakeOut
from xmodal.index.live import LiveProducts
from xmodal.index.ray_build import embed_and_build
from xmodal.index.version import open_index
from xmodal.matcher.saved import load_encoder, read_facts
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan, vector_folder
from xmodal.search.opened import Parts, open_changes, open_overlay, open_vectors


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose catalogue is embedded where embeddings are kept, with a few changes."""
    home = tmp_path_factory.mktemp("home")
    release = tiny_home(home)
    parts = Parts(release.matcher_folder(home), release.index_folder(home), live=home)
    embed(home, current_catalog(home), parts.matcher)
    index = open_index(parts.index, read_facts(parts.matcher).encoder)
    live = LiveProducts(index.products, index.facets, open_changes(parts))
    pictures = {"new": [500, 501], "p004": [502], "p001": [10]}
    puts = [put(name, *seeds) for name, seeds in pictures.items()]
    words = [*puts, put("words"), put("p022"), TakeOut("p002"), TakeOut("p023")]
    Keeper(live, open_vectors(parts)).keep(words)
    return home, parts


def put(name, *seeds):
    images = [make_picture(seed) for seed in seeds]
    return Put(ProductFacts(name, "violet hat", {}, pictures=fingerprints(images)), images)


def embed(home, catalog, matcher):
    made_by, of = read_facts(matcher).encoder, catalog.manifest.fingerprint
    folder = vector_folder(home, made_by, of)
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan("vector+tokens", made_by, of, catalog.n_products)
    return embed_here(load_encoder(matcher / "encoder"), catalog, folder, plan)


def test_what_was_carried_over_is_what_an_encoder_gives(home, tmp_path, monkeypatch):
    home, parts = home
    folded = fold_changes(home, current_catalog(home))
    afresh = embed(tmp_path, folded, parts.matcher)
    monkeypatch.setattr("xmodal.index.vectors.load_encoder", None)
    monkeypatch.setattr("xmodal.retrieval.embed.image_features", None)
    carried = carry_over(home, folded, parts.matcher)
    np.testing.assert_array_equal(carried.product_row, afresh.product_row)
    np.testing.assert_array_equal(carried.image_no, afresh.image_no)
    for name in ("vector", "scale"):
        np.testing.assert_allclose(carried.column(name), afresh.column(name), atol=1e-4)
    apart = carried.column("tokens").astype(int) - afresh.column("tokens")
    assert np.abs(apart).max() <= 1


def test_without_a_store_before_or_a_fold_there_is_nothing_to_carry(home, tmp_path):
    home, parts = home
    assert carry_over(home, current_catalog(home), parts.matcher) is None


def test_the_next_build_has_the_changes_and_later_ones_lie_over_it(home):
    home, parts = home
    folded = fold_changes(home, current_catalog(home))
    index = embed_and_build(home, folded, parts.matcher)
    ids = index.products.column("product_id", range(index.products.count))
    assert {"new", "words", "p001"} <= set(ids)
    assert not {"p002", "p023"} & set(ids)
    assert index.facts.catalog == folded.manifest.fingerprint
    later = Parts(parts.matcher, index.folder, live=home, since=folded.changes_end)
    overlay = open_overlay(later, index)
    assert not overlay.changes.newest
    live = LiveProducts(index.products, index.facets, overlay.changes, overlay.refresh)
    assert Keeper(live, overlay.vectors).keep([TakeOut("new"), put("later", 510)]) == [
        "deleted",
        "created",
    ]
    whole = open_overlay(parts, open_index(parts.index, index.facts.encoder))
    for query_D in np.eye(index.facts.dim, dtype=np.float32)[:5]:
        one, other = (
            overlay.search(query_D, 30, kind="image"),
            whole.search(query_D, 30, kind="image"),
        )
        assert one.product_ids == other.product_ids
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
