"""xmodal/registry/flow.py: what stands at the gate is whole, and measured as the champion is."""

import pytest

from tests.homes import add_release, tiny_home
from xmodal.catalog.judged import Queries, write_queries
from xmodal.catalog.store import current_catalog
from xmodal.index.version import open_index
from xmodal.matcher.saved import load_encoder, read_facts
from xmodal.registry.flow import Flow
from xmodal.registry.pointer import rollback
from xmodal.registry.promotion import is_measured
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan, vector_folder
from xmodal.settings import Settings

TEXTS = {"q1": "red shoe", "q2": "blue bag", "q3": "green shirt"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    tiny_home(home)
    grades = {query: {f"p00{number}": 1} for number, query in enumerate(TEXTS)}
    write_queries(current_catalog(home).path / "judged", "val", Queries(TEXTS, {}, grades))
    return home


def measured(home, release, **serve):
    flow = Flow.of(home, Settings.model_validate({"serve": serve}))
    return flow.measure(current_catalog(home), release.matcher, {"id": release.index})


def test_the_champion_is_measured_beside_its_challenger(home):
    challenger = add_release(home, current_catalog(home), seed=1)
    champion = rollback(home)
    candidate = measured(home, challenger, rerank_depth=7)
    assert candidate.depth == 7
    assert candidate.per_query["mrr@10"].keys() == TEXTS.keys()
    assert is_measured(home, champion, candidate)


def test_only_settings_that_change_answers_make_another_release(home):
    live = add_release(home, current_catalog(home), seed=0)
    plain = measured(home, live)
    assert measured(home, live, port=8001).settings == plain.settings
    assert measured(home, live, rerank_depth=7).settings != plain.settings


def test_a_damaged_index_is_built_anew_by_the_next_run(home, capsys):
    catalog, live = current_catalog(home), add_release(home, current_catalog(home), seed=0)
    folder, made_by = live.matcher_folder(home), read_facts(live.matcher_folder(home)).encoder
    data = catalog.manifest.fingerprint
    vectors, plan = vector_folder(home, made_by, data), (made_by, data, catalog.n_products)
    vectors.mkdir(parents=True)
    embed_here(load_encoder(folder / "encoder"), catalog, vectors, Plan("vector+tokens", *plan))
    for _ in range(2):
        record = Flow.of(home, Settings()).index(catalog, folder)
        assert open_index(live.index_folder(home), made_by).facts.id == record["id"]
        (live.index_folder(home) / "tokens.npy").write_bytes(b"torn")
    assert "built anew" in capsys.readouterr().out
