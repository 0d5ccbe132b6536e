"""Health of what was trained, as its judgement shows it; and the doctor's section of the report.

The doctor of training looks before and during a run; here the tuned matcher meets its base.
"""

from collections.abc import Iterator, Mapping
from math import sqrt
from statistics import fmean, variance

from xmodal.evaluation.judge import Evaluation
from xmodal.evaluation.sections import Judged, Section, Table
from xmodal.evaluation.significance import compare
from xmodal.evaluation.slices import FEWEST
from xmodal.findings import Finding, verdict

METRIC = "mrr@10"
LEVEL = 0.05
# A gain of val that dev or test do not have, by three standard errors and by half of it.
ERRORS, LEAST_KEPT = 3.0, 0.5

Groups = Mapping[str, Mapping[str, str]]  # group to query id to its value


def doctor(judged: Judged) -> Section:
    """All that was found about the run, before, during and after."""
    found = [*judged.findings, *check_judged(judged.evaluation, query_groups(judged.evaluation))]
    rows = tuple((one.name, one.severity, one.when, one.seen, one.mend) for one in found)
    table = Table(("finding", "severity", "seen", "what", "mend"), rows)
    return Section(
        name="doctor",
        title="Is the run healthy?",
        verdict=verdict(found).removeprefix("doctor: ").capitalize() + ".",
        tables=(table,) if found else (),
        data={"findings": [vars(one) for one in found]},
    )


def query_groups(evaluation: Evaluation) -> dict[str, Groups]:
    """By part, what parts its text queries."""
    asked = {key: task for key, task in evaluation.tasks.items() if task.name == "text-image"}
    return {task.part: evaluation.groups[key] for key, task in asked.items()}


def check_judged(evaluation: Evaluation, groups: Mapping[str, Groups]) -> list[Finding]:
    """What the judgement shows: slices that fell, and a gain that val alone has.

    Args:
        groups: by part, the groups of its text queries.
    """
    systems = list(dict.fromkeys(one.system for one in evaluation.results))
    if len(systems) < 2:
        return []
    base, tuned = systems[:2]
    found: list[Finding] = []
    for part in groups:
        ours = evaluation.per_query(tuned, part).get(METRIC, {})
        theirs = evaluation.per_query(base, part).get(METRIC, {})
        found += slices_that_fell(part, ours, theirs, groups[part])
    return found + list(gain_on_val_alone(evaluation, base, tuned))


def slices_that_fell(
    part: str, ours: Mapping[str, float], theirs: Mapping[str, float], groups: Groups
) -> Iterator[Finding]:
    """Values of a group whose queries the tuned matcher answers worse than its base.

    Significant by the paired test, corrected for the number of slices (Bonferroni).
    """
    slices = {
        (group, value): [q for q in ours if q in theirs and value_of.get(q) == value]
        for group, value_of in groups.items()
        for value in sorted(set(value_of.values()))
    }
    slices = {name: queries for name, queries in slices.items() if len(queries) >= FEWEST}
    for (group, value), queries in slices.items():
        one = compare({q: ours[q] for q in queries}, {q: theirs[q] for q in queries})
        if one.difference < 0 and one.p_value * len(slices) < LEVEL:
            yield _warn(
                "slice-fell",
                f"{part}, {group} = {value}: {METRIC} fell from {one.theirs:.3f} to "
                f"{one.ours:.3f} on {len(queries)} queries (p = {one.p_value:.3f}, "
                f"{len(slices)} slices)",
                "give training pairs of that kind, or lower training.learning_rate and epochs",
            )


def gain_on_val_alone(evaluation: Evaluation, base: str, tuned: str) -> Iterator[Finding]:
    """Whether `val`, which picked the checkpoint, gained far more than what nothing picked by."""
    val = _gains(evaluation, "val", base, tuned)
    for part in ("dev", "test"):
        other = _gains(evaluation, part, base, tuned)
        if min(len(val), len(other)) < FEWEST:
            continue
        error = sqrt(variance(val) / len(val) + variance(other) / len(other))
        gain, kept = fmean(val), fmean(other)
        if gain - kept > ERRORS * error and kept < LEAST_KEPT * gain:
            yield _warn(
                "gain-on-val-alone",
                f"tuning gained {gain:.3f} {METRIC} on val and {kept:.3f} on {part} "
                f"({(gain - kept) / max(error, 1e-9):.1f} standard errors apart)",
                f"look for products of val in train, or queries of {part} of another kind",
            )


def _gains(evaluation: Evaluation, part: str, base: str, tuned: str) -> list[float]:
    ours = evaluation.per_query(tuned, part).get(METRIC, {})
    theirs = evaluation.per_query(base, part).get(METRIC, {})
    return [ours[query] - theirs[query] for query in sorted(ours.keys() & theirs.keys())]


def _warn(name: str, seen: str, mend: str) -> Finding:
    return Finding(name, "warning", "judged", seen, mend)
