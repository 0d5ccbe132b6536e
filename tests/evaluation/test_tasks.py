"""xmodal/evaluation/tasks.py: what was learnt with a title is no answer to it, and no mistake."""

import pytest

from tests.catalogs import make_catalog, make_product
from xmodal.evaluation.groups import Groups
from xmodal.evaluation.judge import judge
from xmodal.evaluation.tasks import text_task
from xmodal.settings import Settings

SETTINGS = Settings.model_validate({"evaluation": {"bootstrap": 100}})
QRELS = {"red shoe": {"p000": 1, "p001": 1}, "blue bag": {"p002": 1}}
RUN = {"q0": {"p001": 0.9, "p000": 0.8, "p002": 0.1}, "q1": {"p000": 0.9, "p002": 0.5}}


def task_of(folder, *, made, trained=("p001",)):
    products = [make_product(n, split="train" if n == 1 else "val") for n in range(3)]
    catalog = make_catalog(folder / "catalog", products, {"val": QRELS}, made=made)
    assert catalog.ids_of("train") == {"p001"}
    judged, shown = catalog.judged("val"), {"p000", "p001", "p002"}
    return text_task(judged, "val", shown, 10, 0, trained=trained)


def test_a_train_product_of_a_made_query_is_neither_right_nor_in_the_way(tmp_path):
    task = task_of(tmp_path, made=True)
    asked = {text: query for query, text in task.texts.items()}
    assert task.qrels[asked["red shoe"]] == {"p000": 1}
    assert task.learnt == {asked["red shoe"]: {"p001"}}
    assert any("of 1 queries, train products bear the title" in note for note in task.notes)
    run = {asked["red shoe"]: RUN["q0"], asked["blue bag"]: RUN["q1"]}
    found = judge("tuned", task, run, Groups(), SETTINGS)
    assert found.per_query["recall@1"] == {asked["red shoe"]: 1.0, asked["blue bag"]: 0.0}
    assert found.top[asked["red shoe"]] == ["p000", "p002"]


@pytest.mark.parametrize(("made", "trained"), [(False, ("p001",)), (True, ())])
def test_what_people_judged_counts_whole(tmp_path, made, trained):
    task = task_of(tmp_path, made=made, trained=trained)
    assert {"p000", "p001"} in [set(grades) for grades in task.qrels.values()]
    assert not task.learnt
