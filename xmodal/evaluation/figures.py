"""The figures of an evaluation as plain values: `metrics.json`, and a row for each query in CSV."""

import csv
import io
from collections.abc import Mapping, Sequence

from xmodal.evaluation.judge import Contrast, Evaluation, Result
from xmodal.evaluation.sections import Section
from xmodal.evaluation.slices import FEWEST
from xmodal.evaluation.tasks import Task
from xmodal.retrieval.metrics import RANK

_COLUMNS = ("recall@1", "recall@10", "mrr@10", "ndcg@10", "map", "judged@10", RANK)


def as_json(
    evaluation: Evaluation, facts: Mapping[str, object], sections: Sequence[Section] = ()
) -> dict[str, object]:
    """All means, slices, comparisons and the sections' data.

    Of a slice with fewer than `fewest_queries_of_a_slice` only its size is given.
    """
    return {
        "facts": {name: str(value) for name, value in facts.items()},
        "gallery": evaluation.gallery,
        "results": [_result(one) for one in evaluation.results],
        "comparisons": [_contrast(one) for one in evaluation.contrasts],
        "fewest_queries_of_a_slice": FEWEST,
        "notes": {name: list(task.notes) for name, task in evaluation.tasks.items()},
        "chance": {name: chance(task, evaluation) for name, task in evaluation.tasks.items()},
        "sections": {section.name: section.data for section in sections},
    }


def chance(task: Task, evaluation: Evaluation) -> float:
    """R@10 that a random order of the task's gallery reaches in the mean."""
    return min(1.0, 10 / max(len(task.titles) or evaluation.gallery["products"], 1))


def as_csv(evaluation: Evaluation) -> str:
    """A row for each system, part, task and query."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("part", "task", "system", "query", *_COLUMNS))
    for one in evaluation.results:
        for query in one.per_query[RANK]:
            values = (f"{one.per_query[name][query]:.6g}" for name in _COLUMNS)
            writer.writerow((one.part, one.task, one.system, query, *values))
    return out.getvalue()


def _result(one: Result) -> dict[str, object]:
    return {
        "system": one.system,
        "part": one.part,
        "task": one.task,
        "queries": len(one.per_query["map"]),
        "means": one.means,
        "intervals": one.intervals,
        "slices": one.slices,
    }


def _contrast(one: Contrast) -> dict[str, object]:
    return {
        "part": one.part,
        "task": one.task,
        "system": one.ours,
        "against": one.theirs,
        "metric": one.metric,
        **vars(one.found),
        "corrected_p_value": one.corrected,
    }
