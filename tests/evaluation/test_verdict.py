"""xmodal/evaluation/verdict.py: plain words that follow from the comparisons."""

from dataclasses import replace

import pytest

from xmodal.evaluation.judge import Evaluation, contrast, judge
from xmodal.evaluation.tasks import Task
from xmodal.evaluation.verdict import page_share, say
from xmodal.settings import Settings

SETTINGS = Settings.model_validate({"evaluation": {"bootstrap": 200}})
N = 60


def evaluation(*places, part="dev"):
    """Systems that put the one right product of each query at `places[i]`."""
    qrels = {f"q{n}": {f"p{n}": 1} for n in range(N)}
    task = Task("text-image", part, qrels, texts={query: query for query in qrels})
    results = []
    for name, place in zip(("base", "tuned", "tuned + rerank"), places, strict=False):
        run = {
            f"q{n}": {f"x{i}" if i + 1 != place(n) else f"p{n}": float(20 - i) for i in range(20)}
            for n in range(N)
        }
        results.append(judge(name, task, run, {}, SETTINGS))
    key = f"{part} text-image"
    sizes = {"products": 500, "pictures": 500}
    return Evaluation(results, contrast(results, [task], SETTINGS), {key: task}, sizes, {key: {}})


def test_a_clear_gain_is_said_in_shoppers():
    found = say(evaluation(lambda n: 15 if n % 2 else 9, lambda n: 12 if n % 4 == 1 else 2))
    assert found.tone == "good"
    assert found.headline == "Yes: tuned finds products better than base"
    assert found.facts[0].startswith("Of 100 queries, 75 show a right product among the first 10")
    assert "more than chance" in found.facts[1]


def test_a_clear_loss_is_refused():
    found = say(evaluation(lambda n: 1, lambda n: 15))
    assert found.tone == "bad"
    assert found.advice.startswith("Do not release it")


def test_a_difference_on_one_query_is_chance():
    found = say(evaluation(lambda n: 3, lambda n: 1 if n == 0 else 3))
    assert found.tone == "even"
    assert "may be chance" in found.facts[1]


def test_the_last_system_is_judged_against_the_first_and_each_step_is_told():
    found = say(evaluation(lambda n: 15, lambda n: 5, lambda n: 2))
    assert found.headline == "Yes: tuned + rerank finds products better than base"
    assert [fact.split(":")[0] for fact in found.facts[2:4]] == [
        "tuned against base",
        "tuned + rerank against tuned",
    ]


def test_figures_of_val_are_said_to_flatter():
    assert "flatters" in say(evaluation(lambda n: 1, lambda n: 2, part="val")).facts[-1]


def test_one_system_is_compared_with_nothing():
    found = say(evaluation(lambda n: 4))
    assert found.headline == "base shows a right product on the first page for 100% of the queries"


def test_nothing_judged_is_said():
    empty = replace(evaluation(lambda n: 1), results=[], contrasts=[])
    assert say(empty).headline == "Nothing was judged"


def test_the_first_page_holds_ten():
    one = evaluation(lambda n: 10 if n < 15 else 11).results[0]
    assert page_share(one) == pytest.approx(0.25)
