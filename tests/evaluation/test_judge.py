"""xmodal/evaluation/judge.py: tasks, runs and comparisons of real (tiny) matchers."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.catalogs import make_catalog, make_product
from tests.factories import make_picture, tiny_encoder
from xmodal.evaluation.judge import Contender, evaluate
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import embed_here, embed_texts
from xmodal.retrieval.metrics import means, per_query
from xmodal.retrieval.store import Plan
from xmodal.settings import Settings

N = 60
SETTINGS = Settings.model_validate({"evaluation": {"bootstrap": 100, "max_queries": 50}})


def products():
    """Every fourth is of dev; numbers 0 and 1 of ten share a title; the last has no picture."""
    some = [
        make_product(
            n,
            title=f"{('red', 'blue', 'green')[n // 2 % 3]} shoe {n // 2}",
            split="dev" if n % 4 < 2 else "train",
        )
        for n in range(N)
    ]
    some[0]["images"] = [make_picture(0), make_picture(100)]
    some[-1]["images"] = []
    return some


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    queries = {f"red shoe {n}": {f"p{n:03d}": 1} for n in range(30)}
    queries |= {f"红色鞋子 {n}": {f"p{n:03d}": 1} for n in range(30)}
    queries["lost shoe"] = {f"p{N - 1:03d}": 1}
    catalog = make_catalog(folder / "catalog", products(), {"dev": queries})
    found = []
    for seed, name in enumerate(("base", "tuned")):
        encoder = tiny_encoder(seed=seed)
        plan = Plan("vector+tokens", name, "c", N)
        store = embed_here(encoder, catalog, folder / name, plan)
        found.append(Contender(name, Matcher(encoder, None, Facts()), store))
    return evaluate(found, catalog, ["val", "dev"], SETTINGS), found, catalog


def test_each_system_is_judged_on_each_task_of_the_parts_with_queries(evaluation):
    judged = [(one.system, one.part, one.task) for one in evaluation[0].results]
    tasks = ("text-image", "image-image", "image-text")
    assert judged == [(name, "dev", task) for name in ("base", "tuned") for task in tasks]


def test_text_queries_are_scored_by_the_best_picture(evaluation):
    """By hand: every product's best cosine, sorted."""
    judged, (_, tuned), catalog = evaluation
    queries = list(judged.per_query("tuned", "dev")["rank"])
    texts = embed_texts(tuned.matcher.encoder, queries)
    cosines = texts @ tuned.store.column("vector").T
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    run: dict[str, dict[str, float]] = {query: {} for query in queries}
    for query, row in zip(queries, cosines, strict=True):
        for product, cosine in zip(tuned.store.product_row, row, strict=True):
            run[query][ids[product]] = max(run[query].get(ids[product], -9.0), float(cosine))
    qrels = judged.tasks["dev text-image"].qrels
    result = judged.result("tuned", "dev")
    assert means(per_query(run, qrels)) == pytest.approx(result.means, abs=1e-6)


def test_queries_outside_the_gallery_are_left_out_and_counted(evaluation):
    task = evaluation[0].tasks["dev text-image"]
    assert "lost shoe" not in task.qrels
    assert task.notes[0].startswith("1 queries")


def test_queries_are_sampled_and_that_is_said(evaluation):
    task = evaluation[0].tasks["dev text-image"]
    assert len(task.qrels) == 50
    assert "50 of 60 queries, drawn by the seed" in task.notes


def test_languages_are_slices(evaluation):
    slices = evaluation[0].result("tuned", "dev").slices
    assert set(slices["lang"]) == {"en", "zh"}
    assert sum(row["queries"] for row in slices["lang"].values()) == 50


def test_a_picture_does_not_find_its_own_product(evaluation):
    result = evaluation[0].result("tuned", "dev", "image-image")
    assert all(query not in top for query, top in result.top.items())
    assert evaluation[0].tasks["dev image-image"].qrels["p000"] == {"p001": 1}


def test_equal_titles_are_one_entry_of_the_title_gallery(evaluation):
    task = evaluation[0].tasks["dev image-text"]
    assert (
        len(task.titles)
        == len(set(task.titles))
        == len({p["title"] for p in products() if p["images"]})
    )
    assert task.qrels["p001"] == {"red shoe 0": 1}


def test_tuned_is_compared_with_base(evaluation):
    contrast = next(one for one in evaluation[0].contrasts if one.task == "text-image")
    assert (contrast.ours, contrast.theirs, contrast.metric) == ("tuned", "base", "mrr@10")
    ours = evaluation[0].result("tuned", "dev").means["mrr@10"]
    assert contrast.found.ours == pytest.approx(ours)


def test_a_text_is_embedded_once_however_often_it_is_asked(monkeypatch):
    from xmodal.evaluation import judge as module

    seen = []

    def embed(encoder, texts):
        seen.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32).reshape(-1, 2)

    monkeypatch.setattr(module, "embed_texts", embed)
    contender = Contender("tuned", SimpleNamespace(encoder=SimpleNamespace(dim=2)), None)
    first = contender.embed_texts(["a", "bcd", "a"])
    again = contender.embed_texts(["bcd", "ef"])
    assert seen == ["a", "bcd", "ef"]
    assert first[:, 0].tolist() == [1, 3, 1]
    assert again[:, 0].tolist() == [3, 2]
    assert contender.embed_texts([]).shape == (0, 2)
