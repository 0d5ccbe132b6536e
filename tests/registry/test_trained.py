"""xmodal/registry/trained.py: what a reranked matcher is saved with."""

import shutil

import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import tiny_encoder
from xmodal.catalog.judged import Queries
from xmodal.catalog.pairs import Texts, write_pairs
from xmodal.matcher.fields import FIELDS
from xmodal.matcher.saved import load_matcher, save_matcher
from xmodal.registry.runs import Tracker
from xmodal.registry.trained import rerank_tracked
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan, vector_folder
from xmodal.settings import Settings

SETTINGS = Settings.model_validate({"reranker": {"epochs": 1}})


@pytest.fixture(scope="module")
def home(tmp_path_factory, migrated):
    """A home with a catalogue, a matcher without a reranker, and its vectors: no Ray is needed."""
    folder = tmp_path_factory.mktemp("home")
    products = [make_product(n, split=("train", "val")[n % 2]) for n in range(60)]
    queries = {f"buy {n}": {f"p{n:03d}": 1} for n in range(1, 60, 2)}
    catalog = make_catalog(folder / "catalogs" / "c1", products, {"val": queries})
    write_pairs(catalog, Texts({}, Queries(), 0))
    shutil.copy(migrated, folder / "mlflow.db")
    made_by = save_matcher(folder / "matcher", tiny_encoder()).encoder
    plan = Plan("vector+tokens", made_by, catalog.manifest.fingerprint, 60)
    vectors = vector_folder(folder, made_by, catalog.manifest.fingerprint)
    vectors.mkdir(parents=True)
    embed_here(load_matcher(folder / "matcher").encoder, catalog, vectors, plan)
    return folder, catalog


def test_its_fields_are_weighed_and_the_weights_tracked(home, capsys):
    folder, catalog = home
    saved = rerank_tracked(folder, catalog, SETTINGS, "r1", folder / "matcher")
    weights = load_matcher(saved).fields
    assert sum(weights.weights.values()) == pytest.approx(1)
    assert weights.figures["val queries"] == 30
    assert "what each field counts in a product's vector" in capsys.readouterr().out
    tracker = Tracker(folder)
    run = tracker.client.search_runs([tracker.experiment_id])[0]
    tracked = {name: run.data.metrics[f"fields/{name}"] for name in FIELDS}
    assert tracked == pytest.approx(weights.weights)
