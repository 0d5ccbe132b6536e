"""jobs/evaluate_model.py: a run and figures from a matcher, a shop and a file of queries."""

import importlib.util
import json
from pathlib import Path

import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import tiny_encoder
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
