"""jobs/evaluate_model.py: a run and figures from a matcher, a shop and a file of queries."""

import importlib.util
import json
from pathlib import Path

import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import tiny_encoder
from xmodal.matcher.fields import FieldWeights
from xmodal.matcher.saved import save_matcher
from xmodal.retrieval.metrics import means, per_query

JOB = Path(__file__).parents[2] / "jobs" / "evaluate_model.py"
QUERIES = {"red bag": {"p000": 1, "p003": 1}, "蓝色鞋子": {"p001": 2}}


def job_main():
    spec = importlib.util.spec_from_file_location("evaluate_model_job", JOB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with an ingested catalogue, the home's base matcher, and queries."""
    folder = tmp_path_factory.mktemp("shop")
    products = [make_product(n, split="dev" if n < 6 else "train") for n in range(120)]
    make_catalog(folder / "catalog", products)
    save_matcher(folder / "home" / "base" / "matcher", tiny_encoder())
    return folder


@pytest.fixture
def run(shop, tmp_path, monkeypatch):
    """Runs the job on the shop; gives its exit code and the run it wrote."""
    monkeypatch.setenv("XMODAL_HOME", str(shop / "home"))

    def run(*flags, queries=QUERIES, text=None, catalog=shop / "catalog", model="base"):
        file, out = tmp_path / "queries.json", tmp_path / "run.json"
        file.write_text(text if text is not None else json.dumps(queries), encoding="utf-8")
        asked = ["--model", str(model), "--catalog", str(catalog), "--queries", str(file)]
        code = job_main()([*asked, "--run-out", str(out), *flags])
        return code, json.loads(out.read_text("utf-8")) if out.exists() else None

    return run


def test_the_run_holds_the_hundred_best_and_the_figures_are_its_own(run, capsys):
    code, found = run()
    assert code == 0
    assert list(found) == list(QUERIES)
    assert [len(answer) for answer in found.values()] == [100, 100]
    shown = capsys.readouterr().out
    assert f"{means(per_query(found, QUERIES))['mrr@10']:.4f}" in shown


def test_a_folder_is_a_model_too(run, shop):
    assert run(model=shop / "home" / "base" / "matcher") == run()


def test_a_uri_is_a_place_too(run, shop):
    assert run(catalog=(shop / "catalog").as_uri()) == run()


def test_a_split_narrows_the_gallery(run):
    code, found = run("--split", "dev")
    assert (code, {len(answer) for answer in found.values()}) == (0, {6})


def test_a_gallery_with_text_is_shown_beside_pictures_alone(run, capsys):
    alone = means(per_query(run()[1], QUERIES))["mrr@10"]
    both = means(per_query(run("--gallery", "product")[1], QUERIES))["mrr@10"]
    assert f"; {alone:.4f} -> {both:.4f})" in capsys.readouterr().out


@pytest.fixture(scope="module")
def weighed(shop):
    """A matcher that weighs the fields of a product."""
    weights = FieldWeights({"picture": 0.1, "title": 0.1, "attributes": 0.8})
    save_matcher(shop / "weighed", tiny_encoder(), fields=weights)
    return shop / "weighed"


def test_learnt_weights_are_used(run, weighed):
    code, found = run("--gallery", "product", model=weighed, queries={"red bag": {"p000": 1}})
    assert (code, len(found["red bag"])) == (0, 100)
    assert found != run("--gallery", "product", queries={"red bag": {"p000": 1}})[1]


def test_a_query_that_is_a_searched_line_of_attributes_is_refused(run, weighed, capsys):
    code, _ = run("--gallery", "product", model=weighed, queries={"Red": {"p000": 1}})
    assert code == 2
    assert "are the line of attributes of a product that they judge" in capsys.readouterr().err
    assert run("--gallery", "product", queries={"Red": {"p000": 1}})[0] == 0


BAD = [
    ({"queries": {"shoe": {"nobody": 1}}}, (), "not in the catalogue, such as 'nobody'"),
    ({"text": "{not json"}, (), "is not JSON"),
    ({"text": '["a"]'}, (), "must be {query: {product_id: grade}}"),
    ({"catalog": "/nowhere"}, (), "/nowhere: no such folder"),
    ({"catalog": "moon://shop"}, (), "--catalog moon://shop: not a place that can be read"),
    ({"model": "/nowhere"}, (), "/nowhere: no such folder"),
    ({}, ("--rerank",), "has no reranker"),
    ({}, ("--split", "moon"), "'moon' has a picture"),
    ({"queries": {"red shoe 0": {"p000": 1}}}, ("--gallery", "product"), "use --gallery image"),
]


@pytest.mark.parametrize(("given", "flags", "said"), BAD)
def test_bad_input_is_one_line_and_leaves_no_run(run, capsys, given, flags, said):
    code, found = run(*flags, **given)
    error = capsys.readouterr().err
    assert (code, found) == (2, None)
    assert said in error
    assert error.count("\n") == 1
