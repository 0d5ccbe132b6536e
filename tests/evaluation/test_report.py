"""xmodal/evaluation/report.py: one self-contained page, and the same figures in JSON."""

import base64
import csv
import io
import json
import re

import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import tiny_encoder
from xmodal.evaluation.analyses import analyse
from xmodal.evaluation.judge import Contender, evaluate
from xmodal.evaluation.report import write_report
from xmodal.evaluation.sections import Judged
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import embed_here
from xmodal.retrieval.store import Plan
from xmodal.settings import Settings


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    products = [make_product(n, split="dev", title=f"<shoe> {n // 2}") for n in range(30)]
    queries = {f"{'red ' * (n < 24)}<shoe> & {n}": {f"p{n:03d}": 1} for n in range(30)}
    catalog = make_catalog(folder / "catalog", products, {"dev": queries}, made=True)
    contenders = []
    for seed, name in enumerate(("base", "tuned")):
        encoder = tiny_encoder(seed=seed)
        store = embed_here(encoder, catalog, folder / name, Plan("vector+tokens", name, "c", 30))
        contenders.append(Contender(name, Matcher(encoder, None, Facts()), store))
    settings = Settings.model_validate({"evaluation": {"bootstrap": 100}})
    evaluation = evaluate(contenders, catalog, ["dev"], settings)
    history = [{"epoch": n, "loss": 3.0 - n, "mrr@10": 0.1 * n} for n in range(3)]
    sections = analyse(Judged(contenders, catalog, evaluation, settings, history=history))
    path = write_report(folder / "reports", evaluation, catalog, {"run": "a <run>"}, sections)
    return evaluation, path.read_text(), json.loads((path.parent / "metrics.json").read_text())


def test_the_page_needs_nothing_but_itself(report):
    sources = re.findall(r'(?:src|href)="([^"]*)"', report[1])
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert any(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "$" not in report[1]


def test_text_of_the_shop_is_escaped(report):
    assert "&lt;shoe&gt; &amp; 1" in report[1]
    assert "<shoe>" not in report[1]
    assert "a &lt;run&gt;" in report[1]


def test_the_page_says_that_queries_were_made(report):
    assert "made of the products&#x27; titles" in report[1]


def test_page_and_json_hold_the_same_figures(report):
    evaluation, page, metrics = report
    result = evaluation.result("tuned", "dev")
    found = next(
        r for r in metrics["results"] if (r["system"], r["task"]) == ("tuned", "text-image")
    )
    assert found["means"] == pytest.approx(result.means)
    assert f"{result.means['mrr@10']:.4f}" in page


def test_json_compares_tuned_with_base_and_names_chance(report):
    metrics = report[2]
    first = metrics["comparisons"][0]
    assert (first["system"], first["against"], first["metric"]) == ("tuned", "base", "mrr@10")
    assert first["queries"] == 30
    assert metrics["chance"]["dev text-image"] == pytest.approx(10 / 30)
    assert metrics["facts"]["catalogue fingerprint"]


def test_every_entry_of_the_contents_leads_to_a_place_on_the_page(report):
    targets = re.findall(r'href="#([^"]*)"', report[1])
    assert {"verdict", "dev-text-image", "slices", "training", "examples"} <= set(targets)
    assert all(f'id="{target}"' in report[1] for target in targets)


def test_the_figures_can_be_downloaded_from_the_page(report):
    packed = re.search(
        r'download="metrics.json" href="data:application/json;base64,([^"]*)"', report[1]
    )
    assert json.loads(base64.b64decode(packed.group(1))) == report[2]
    rows = re.search(r'download="queries.csv" href="data:text/csv;base64,([^"]*)"', report[1])
    table = list(csv.DictReader(io.StringIO(base64.b64decode(rows.group(1)).decode())))
    assert len(table) == sum(len(one.per_query["rank"]) for one in report[0].results)


def test_the_verdict_comes_first_and_is_not_chance_called_a_gain(report):
    """Two random encoders: nothing speaks for either."""
    page = report[1]
    assert page.index("No clear difference between tuned and base") < page.index("<table>")
    assert "corrected for the" in page


def test_wins_show_the_answers_before_and_after(report):
    page = report[1]
    assert "<span>base</span>" in page
    assert "<span>tuned</span>" in page
    assert "Found now" in page


def test_too_small_a_slice_says_so(report):
    by_colour = report[2]["results"][0]["slices"]["colour word"]
    assert by_colour["none"] == {"queries": 6}
    assert "recall@10" in by_colour["red"]
    assert '<td>none</td><td>6</td><td class="few">too few</td>' in report[1]
