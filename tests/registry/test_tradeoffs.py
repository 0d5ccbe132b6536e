"""xmodal/registry/tradeoffs.py, weighed.py, shelves.py: ways to serve, measured in one run."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture
from tests.homes import add_release
from xmodal.catalog.store import current_catalog
from xmodal.evaluation.pareto import pareto_front
from xmodal.evaluation.places import find_vectors
from xmodal.matcher.forms import FormFacts
from xmodal.matcher.saved import load_encoder, load_matcher
from xmodal.registry.forms import export_forms
from xmodal.registry.pointer import read_pointer
from xmodal.registry.shelves import Shelf, ShelfRetriever
from xmodal.registry.tradeoffs import measure_ways, ways_of
from xmodal.retrieval.embed import embed_texts
from xmodal.retrieval.metrics import means, per_query
from xmodal.retrieval.topk import topk_products
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic

JOB = Path(__file__).parents[2] / "jobs" / "tune.py"
QUERIES = {f"query {n}": {f"p{n:03d}": 1} for n in range(1, 24, 2)}


@pytest.fixture(scope="module")
def home(tmp_path_factory, migrated):
    folder = tmp_path_factory.mktemp("home")
    products = [make_product(n, split=("train", "val")[n % 2]) for n in range(24)]
    products[1]["images"] = [make_picture(1), make_picture(101), make_picture(201)]
    catalog = make_catalog(folder / "catalogs" / "c1", products, {"val": QUERIES})
    write_json_atomic(folder / "catalog.json", {"source": "made here", "current": "c1"})
    shutil.copy(migrated, folder / "mlflow.db")
    add_release(folder, catalog, seed=0)
    return folder


@pytest.fixture(scope="module")
def weighed(home):
    """What `jobs/tune.py --pareto <folder>` left and said."""
    spec = importlib.util.spec_from_file_location("tune_job", JOB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = read_pointer(home).matcher_folder(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_HOME", str(home))
        code = module.main(["--pareto", str(folder), "--set", "evaluation.bootstrap=100"])
    assert code == 0
    return json.loads(next((home / "reports").glob("*/pareto.json")).read_text())


def test_every_way_is_measured_and_the_front_is_what_no_other_beats(weighed):
    ways = weighed["ways"]
    assert len(ways) == 1 * 1 * 3 * 4  # forms, dimensions (16 alone), codings, depths
    costs = [(-w["mrr"], float(f"{w['p50_ms']:.2g}"), w["memory_bytes"]) for w in ways]
    front = [place for place, way in enumerate(ways) if way["is_on_front"]]
    assert front == pareto_front(costs)
    assert all(way["p95_ms"] >= way["p50_ms"] > 0 for way in ways)


def test_quality_is_that_of_the_plain_search(home, weighed):
    folder = read_pointer(home).matcher_folder(home)
    catalog, encoder = current_catalog(home), load_encoder(folder / "encoder")
    store = find_vectors(home, load_matcher(folder), catalog, lambda _: None)
    query = embed_texts(encoder, list(QUERIES))
    scores, rows = topk_products(query, store.column("vector"), store.product_row, 10)
    run = {
        text: {f"p{row:03d}": score for row, score in zip(found, given, strict=True)}
        for text, found, given in zip(QUERIES, rows.tolist(), scores.tolist(), strict=True)
    }
    expected = means(per_query(run, QUERIES))
    plain = weighed["ways"][0]
    assert plain["way"] == {"form": "torch", "dim": 16, "coding": "float", "depth": 0}
    assert plain["mrr"] == pytest.approx(expected["mrr@10"])
    assert plain["recall"] == pytest.approx(expected["recall@10"])


def test_bytes_are_those_of_vectors_tokens_and_exact_vectors(weighed):
    pictures, token_bytes = 26 / 24, 16 * 128 + 4
    found = {(w["way"]["coding"], w["way"]["depth"]): w for w in weighed["ways"]}
    assert found["float", 0]["memory_bytes"] == pytest.approx(64 * pictures)
    assert found["float", 0]["disk_bytes"] == 0
    assert found["int8", 0]["memory_bytes"] == pytest.approx(16 * pictures)
    assert found["sign bits", 20]["memory_bytes"] == pytest.approx(8 * pictures)
    assert found["sign bits", 20]["disk_bytes"] == pytest.approx((64 + token_bytes) * pictures)


def test_ways_are_all_combinations_and_begin_with_the_plainest():
    ways = ways_of(["float", "onnx"], 256, has_reranker=True)
    assert len(ways) == len(set(ways)) == 2 * 3 * 3 * 4
    assert (ways[0].dim, ways[0].coding, ways[0].depth) == (256, "float", 0)
    assert {way.depth for way in ways_of(["float"], 64, has_reranker=False)} == {0}
    assert {way.dim for way in ways_of(["float"], 64, has_reranker=False)} == {64}


def test_kept_forms_are_ways_too_if_they_answer_from_the_same_vectors(home):
    pytest.importorskip("onnxscript", reason="needs the extra `export`")
    folder, settings = read_pointer(home).matcher_folder(home), Settings()
    catalog = current_catalog(home)
    row = export_forms(folder, catalog, settings, ["onnx"], home=home, gallery=24, say=print)
    found = measure_ways(home, catalog, settings, folder).served
    assert [one.way.form for one in found] == ["torch"] * 12 + ["onnx"] * 12
    assert [one.mrr for one in found[:12]] == pytest.approx([one.mrr for one in found[12:]])
    kept = row.rows[-1].folder
    replace(FormFacts.load(kept), image="int8").save(kept)
    assert len(measure_ways(home, catalog, settings, folder).served) == 12


def vectors(rows, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(rows, 32)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("coding", ["int8", "sign bits"])
def test_codes_of_few_dimensions_give_exact_scores_of_all(coding):
    gallery, query = vectors(150), vectors(1, seed=1)[0]
    scores, rows = Shelf(gallery, 8, coding).nearest(query, 5)  # all 150 are rescored
    np.testing.assert_allclose(scores, gallery[rows] @ query, rtol=1e-5)
    assert rows.tolist() == np.argsort(-(gallery @ query))[:5].tolist()


async def test_a_product_of_several_pictures_is_found_once_by_its_best():
    gallery = vectors(6)
    found = await ShelfRetriever(
        Shelf(gallery, 32, "float"), np.array([0, 0, 0, 1, 1, 2]), ["a", "b", "c"]
    ).retrieve(gallery[4], 3, (), "text", 0.0)
    assert sorted(found.product_ids) == ["a", "b", "c"]
    assert (found.product_ids[0], found.vector_rows[0]) == ("b", 4)
