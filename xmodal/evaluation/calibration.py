"""Can its probabilities be believed, and does it know what the shop does not have?

On each held-out part: its queries as they are, the same with every product of the kind that they
ask for hidden, and everyday words that the shop never uses. Nothing was fitted there.

Shapes: K hits of an answer.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from xmodal.evaluation.drawing import Axis, lines
from xmodal.evaluation.judge import Contender
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.evaluation.tasks import Task
from xmodal.matcher.calibration import PAGE, Calibration, Curves
from xmodal.retrieval.answers import score_answers
from xmodal.retrieval.foreign import find_classes, foreign_words, make_cases
from xmodal.retrieval.trial import Trial

MOST_QUERIES = 120  # each is answered twice by each stage: seconds
_PARTS = ("dev", "test")
_VAL = "val, cross-fitted"
_NAMES = {"first": "first stage", "reranked": "reranked"}

Row = tuple[str | int | float | None, ...]
Figures = dict[tuple[str, str], Mapping[str, float]]  # by part and kind of answer


def calibration(judged: Judged) -> Section | None:
    """The section; None where no contender says what its scores are worth."""
    told = [one for one in judged.contenders if one.matcher.calibration is not None]
    if not told:
        return None
    worth = told[-1].matcher.calibration
    assert worth is not None
    figures, curves = _fitted(worth), {_VAL: worth.curves}
    for task in (judged.evaluation.tasks.get(f"{part} text-image") for part in _PARTS):
        if task is not None:
            for name, trial in _try(told[-1], worth, task, judged).items():
                scale = worth.reranked if name == "reranked" else worth.first
                figures[task.part, name] = trial.figures(scale.threshold if scale else None)
                curves[task.part] = trial.curves()
    part, name = list(figures)[-1]
    return Section(
        name="calibration",
        title="What a score is worth",
        verdict=_verdict(figures[part, name], part, worth.false_alarm_rate),
        tables=(_belief_table(figures), _match_table(figures)),
        pictures=tuple(_diagram(lines_, part) for part, lines_ in curves.items()),
        notes=(_BELIEF, _MATCH),
        data={f"{part}/{name}": dict(values) for (part, name), values in figures.items()},
    )


_BELIEF = (
    f"Probabilities are of the first {PAGE} hits; a hit that no judgement names counts as not "
    "relevant. Before: the softmax that the matcher was trained by, over its candidates."
)
_MATCH = (
    "Kind hidden: the same queries, every product of the kind that they ask for taken out of the "
    "gallery. Foreign words: everyday things that no text of the shop names."
)


def _fitted(worth: Calibration) -> Figures:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for path, value in worth.figures.items():
        name, _, figure = path.partition("/")
        found.setdefault((_VAL, name), {})[figure] = value
    return dict(found)


def _try(contender: Contender, worth: Calibration, task: Task, judged: Judged) -> dict[str, Trial]:
    """A trial of each kind of answer on the task's queries."""
    matcher, catalog, store = contender.matcher, judged.catalog, contender.store
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    row_of = {product: row for row, product in enumerate(ids)}
    names = sorted(task.texts)[:MOST_QUERIES]
    right = [
        np.array([row_of[p] for p, grade in task.qrels[name].items() if grade > 0], np.int64)
        for name in names
    ]
    classes, foreign = find_classes(catalog, store), foreign_words(catalog)
    none = np.zeros(0, np.int64)
    found = {}
    for name, scale in (("first", worth.first), ("reranked", worth.reranked)):
        second = matcher.reranker if name == "reranked" else None
        if scale is not None and (second is not None or name == "first"):
            depth = judged.settings.serve.rerank_depth
            answer = partial(score_answers, matcher.encoder, second, store, depth=depth)
            texts = [task.texts[name] for name in names]
            cases = make_cases(answer, texts, right, classes, [none] * len(texts))
            trial = Trial()
            others = answer(foreign, [none] * len(foreign))
            trial.add(
                scale,
                worth.familiar,
                cases,
                others,
                float(matcher.encoder.log_scale.detach().exp()),
            )
            found[name] = trial
    return found


def _verdict(figures: Mapping[str, float], part: str, rate: float) -> str:
    said = (
        f"On {part} its probabilities are off by {figures['ece']:.3f} in the mean "
        f"({figures['ece_before']:.3f} before calibration); {figures['false_alarms']:.1%} of the "
        f"queries that the shop can answer are told that nothing fits (allowed: {rate:.0%})"
    )
    kinds = {"hidden": "whose kind of product is hidden", "foreign": "for things foreign to it"}
    seen = [
        f"{figures[f'detected_{name}']:.0%} of those {words}"
        for name, words in kinds.items()
        if f"detected_{name}" in figures
    ]
    return f"{said}, and {' and '.join(seen)}." if seen else f"{said}."


def _belief_table(figures: Figures) -> Table:
    columns = ("ece_before", "ece", "brier_before", "brier")
    rows: list[Row] = [
        (part, _NAMES[name], int(one["queries"]), *(one[column] for column in columns))
        for (part, name), one in figures.items()
    ]
    head = ("Part", "Answer", "Queries", "ECE before", "ECE", "Brier before", "Brier")
    return Table(head, tuple(rows), "Probability that a shown product is relevant")


def _match_table(figures: Figures) -> Table:
    columns = ("detected_hidden", "auroc_hidden", "detected_foreign", "auroc_foreign")
    rows: list[Row] = [
        (part, _NAMES[name], one["false_alarms"], *(one.get(column) for column in columns))
        for (part, name), one in figures.items()
    ]
    head = (
        "Part",
        "Answer",
        "False alarms",
        "Kind hidden: told",
        "AUROC",
        "Foreign: told",
        "AUROC",
    )
    return Table(head, tuple(rows), "No good match: which queries are told so")


def _diagram(curves: Curves, part: str) -> Picture:
    """Said against seen; the diagonal is a probability that can be believed."""
    most = max((max(point) for line in curves.values() for point in line), default=1.0)
    right = [(0.0, 0.0), (most, most)]
    svg = lines(
        {"as said": right, **curves},
        Axis("probability said", 0.0, most),
        Axis("share relevant", 0.0, most),
    )
    return Picture(svg, f"Reliability on {part}: the share that is relevant against what was said")
