"""xmodal/registry/forms.py: what is kept, what is refused, and that nothing else is left."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.catalogs import make_catalog, make_product
from tests.homes import add_release
from xmodal.catalog.store import current_catalog
from xmodal.errors import MatcherError
from xmodal.evaluation.cost import Speed
from xmodal.matcher.forms import FormFacts, fastest_form, load_form
from xmodal.registry.forms import Row, export_forms, keep
from xmodal.registry.pointer import read_pointer
from xmodal.search.opened import Parts, open_searcher
from xmodal.search.query import Query
from xmodal.search.stages import make_pools
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic

pytest.importorskip("onnxscript", reason="needs the extra `export`")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    products = [make_product(n, split=("train", "val")[n % 2]) for n in range(24)]
    queries = {f"query {n}": {f"p{n:03d}": 1} for n in range(1, 24, 2)}
    catalog = make_catalog(folder / "catalogs" / "c1", products, {"val": queries})
    write_json_atomic(folder / "catalog.json", {"source": "made here", "current": "c1"})
    add_release(folder, catalog, seed=0)
    return folder


def export(home, forms):
    settings = Settings.model_validate({"evaluation": {"bootstrap": 100}})
    folder = read_pointer(home).matcher_folder(home)
    catalog = current_catalog(home)
    return export_forms(folder, catalog, settings, forms, home=home, gallery=20, say=print)


@pytest.fixture(scope="module")
def found(home):
    return export(home, ["onnx"])


def test_a_form_is_judged_beside_the_float_model_and_kept(home, found):
    eager, whole, onnx = found.rows
    assert (eager.name, whole.name, onnx.name) == ("eager", "float", "onnx")
    assert eager.recall == whole.recall == onnx.recall
    assert onnx.verdict == "kept"
    assert onnx.text.per_s > 0
    assert 2e9 > onnx.peak_bytes > onnx.size_bytes > 0
    assert load_form(onnx.folder).dim == 16
    assert FormFacts.load(onnx.folder).made["verdict"] == "kept"
    assert onnx.folder.is_relative_to(home / "forms")
    assert {one.name for one in found.vectors} >= {"int8", "sign bits", "sign bits, 200 rescored"}
    assert found.vectors[-1].recall == found.vectors[0].recall  # all 20 are rescored


def answer(parts):
    searcher, _ = open_searcher(parts, make_pools(), depth=5)
    query = Query(text="red shoe", limit=5)
    return asyncio.run(searcher.answer(query, time.time() + 60)).hits


def test_a_search_reads_queries_by_the_fastest_kept_form(home, found, caplog):
    folder, release = found.rows[2].folder, read_pointer(home)
    facts = FormFacts.load(folder)
    replace(facts, made={"text": {"ratio": 0.9}}).save(folder)
    assert fastest_form(folder.parent, facts.encoder) is None
    replace(facts, made={"text": {"ratio": 2.0}}).save(folder)
    assert fastest_form(folder.parent, facts.encoder) == folder
    assert fastest_form(folder.parent, "another") is None
    replace(facts, made={"text": {"ratio": 2.0}}, image="int8").save(folder)
    assert fastest_form(folder.parent, facts.encoder) is None
    replace(facts, made={"text": {"ratio": 2.0}}).save(folder)
    plain = Parts(release.matcher_folder(home), release.index_folder(home))
    by_form = answer(replace(plain, forms=home / "forms"))
    assert "event=form_opened form=onnx" in caplog.text
    for hit, same in zip(by_form, answer(plain), strict=True):
        assert hit.product_id == same.product_id
        assert hit.score == pytest.approx(same.score, abs=1e-4)


def test_a_form_that_loses_too_much_is_left_behind(tmp_path):
    (tmp_path / "work" / "int8").mkdir(parents=True)
    speed = Speed(1.0, 1.0, 1.0, 1.0, 1.0)
    row = Row("int8", 0.4, 0.2, (-0.2, 0.0), speed, speed, 1, 1, "refused: loses 20.0%")
    assert keep(row, tmp_path / "work", tmp_path / "forms") == row
    assert not (tmp_path / "forms").exists()


def test_an_unknown_form_is_named(home):
    with pytest.raises(MatcherError, match="no form 'int4': give some of onnx"):
        export(home, ["int4"])
