"""xmodal/evaluation/gains.py: the tables, and what they do to an answer, by hand."""

from dataclasses import replace

from tests.evaluation.test_verdict import SETTINGS
from xmodal.evaluation.gains import TABLES, gain_tables
from xmodal.evaluation.judge import Evaluation, contrast, judge
from xmodal.evaluation.sections import Judged
from xmodal.evaluation.tasks import Task

GRADES = {"exact": 3, "substitute": 2, "complement": 1, "irrelevant": 0}


def judged(grades=GRADES):
    """`base` shows the substitute first, `tuned` the complement."""
    task = Task("text-image", "dev", {"q": grades}, texts={"q": "q"})
    runs = {"base": ("substitute", "complement"), "tuned": ("complement", "substitute")}
    results = [
        judge(name, task, {"q": {p: -float(i) for i, p in enumerate(order)}}, {}, SETTINGS)
        for name, order in runs.items()
    ]
    sizes = {"products": 9, "pictures": 9}
    contrasts = contrast(results, [task], SETTINGS)
    key = "dev text-image"
    evaluation = Evaluation(results, contrasts, {key: task}, sizes, {key: {}})
    return Judged([], None, evaluation, SETTINGS)


def test_the_two_tables_of_esci_differ_in_substitute_and_complement():
    meant, scorer = (gains for name, gains in TABLES.items() if name.startswith("ESCI"))
    assert meant == (0, 0.01, 0.1, 1)
    assert scorer == (0, 0.1, 0.01, 1)


def test_the_official_scorer_turns_the_order_of_two_systems():
    found = gain_tables(judged())
    meant, scorer = (values for name, values in found.data.items() if name.startswith("ESCI"))
    assert meant["base"] > meant["tuned"]
    assert scorer["base"] < scorer["tuned"]
    assert "depends on the gains" in found.verdict


def test_judgements_of_one_grade_have_no_such_section():
    assert gain_tables(judged({"exact": 1, "irrelevant": 0})) is None
    assert (
        gain_tables(replace(judged(), evaluation=replace(judged().evaluation, results=[]))) is None
    )
