"""Graded judgements under several tables of gains: how much of nDCG is the table's doing.

ESCI judges Exact, Substitute, Complement and Irrelevant, here grades 3, 2, 1 and 0. Its paper and
its training code mean gains of 1, 0.1, 0.01 and 0. Its official scorer pairs its own files the
other way round: a complement earns 0.1 and a substitute 0.01. Figures published for ESCI are of
that scorer, so both are given, under their names.
"""

from collections.abc import Sequence

from xmodal.evaluation.judge import Result
from xmodal.evaluation.sections import Judged, Row, Section, Table
from xmodal.retrieval.metrics import LINEAR, Qrels, ndcg

EXPONENTIAL = (0.0, 1.0, 3.0, 7.0)
ESCI_MEANT = (0.0, 0.01, 0.1, 1.0)
ESCI_SCORER = (0.0, 0.1, 0.01, 1.0)
TABLES = {
    "linear (the grade)": LINEAR,
    "exponential (2^grade - 1)": EXPONENTIAL,
    "ESCI as meant (substitute 0.1, complement 0.01)": ESCI_MEANT,
    "ESCI's official scorer (substitute 0.01, complement 0.1)": ESCI_SCORER,
}


def gain_tables(judged: Judged) -> Section | None:
    """nDCG@10 of each system under each table; None where all judgements are of one grade."""
    results = judged.evaluation.headline
    if not results:
        return None
    qrels = judged.evaluation.tasks[f"{results[0].part} text-image"].qrels
    if len({grade for grades in qrels.values() for grade in grades.values() if grade > 0}) < 2:
        return None
    own = judged.settings.evaluation.gains
    tables = {"of this report (evaluation.gains)": own, **TABLES}
    found = {name: [_mean(one, qrels, gains) for one in results] for name, gains in tables.items()}
    rows: tuple[Row, ...] = tuple(
        (name, " ".join(f"{g:g}" for g in tables[name]), *found[name]) for name in tables
    )
    orders = {_order(values) for values in found.values()}
    verdict = (
        "The judgements are graded, and every table of gains puts the systems in the same order"
        if len(orders) == 1
        else "The judgements are graded, and the order of the systems depends on the gains: say "
        "which table a figure is of"
    )
    head = ("Gains", "of grades 0 to 3", *(f"nDCG@10 {one.system}" for one in results))
    return Section(
        "gains",
        f"What a half-right product is worth, part {results[0].part}",
        verdict,
        (Table(head, rows),),
        notes=("ESCI's published 0.83 is of the official scorer, without a cut at ten",),
        data={name: dict(zip(_names(results), found[name], strict=True)) for name in tables},
    )


def _mean(result: Result, qrels: Qrels, gains: Sequence[float]) -> float:
    values = [ndcg(result.top.get(query, []), grades, gains) for query, grades in qrels.items()]
    return sum(values) / len(values)


def _order(values: Sequence[float]) -> tuple[int, ...]:
    return tuple(sorted(range(len(values)), key=lambda place: (-values[place], place)))


def _names(results: Sequence[Result]) -> list[str]:
    return [one.system for one in results]
