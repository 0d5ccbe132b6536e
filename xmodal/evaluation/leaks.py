"""The leak audit: what the figures are without the products that training has seen.

    products shared with train (overlap.py) ─► queries that look for one ─► metrics without them

A part that the shop gives is reported as it is. A part that was cut here must not share a picture
with `train`, nor a title together with an alike picture: there the audit says that it failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xmodal.catalog.language import fold
from xmodal.catalog.store import Catalog
from xmodal.evaluation.judge import Result
from xmodal.evaluation.overlap import (
    ANY,
    CRITERIA,
    MOST_CHECKED,
    Rows,
    Shelf,
    copies_cosine,
    near_by_embedding,
    open_shelf,
    overlap,
    titled_alike,
)
from xmodal.evaluation.sections import Judged, Section, Table
from xmodal.evaluation.slices import FEWEST
from xmodal.evaluation.tasks import Task
from xmodal.retrieval.metrics import means

Means = dict[str, float]


@dataclass(frozen=True)
class Compared:
    """A system's means on one task: of all queries, and of those that a criterion leaves."""

    system: str
    part: str
    task: str
    queries: dict[str, int]  # "all", then by criterion
    means: dict[str, Means | None]  # None: fewer than FEWEST are left


@dataclass(frozen=True)
class Audited:
    """What one part shares with train."""

    part: str
    products: int
    found: dict[str, Rows]
    faults: int  # products that a part which was cut here must not have
    compared: list[Compared]


def leaks(judged: Judged) -> Section | None:
    """The audit of every part that was judged; None where none was, or nothing trains."""
    parts = list(dict.fromkeys(one.part for one in judged.evaluation.results))
    shelf = open_shelf(judged.catalog) if parts else None
    if shelf is None or "train" not in shelf.splits:
        return None
    base, seed = judged.contenders[0], judged.settings.seed
    threshold = copies_cosine(base, judged.catalog, shelf, seed)
    audited = []
    for part in parts:
        near = near_by_embedding(base, shelf, part, threshold, seed)
        audited.append(_audit(judged, shelf, part, overlap(shelf, part, near)))
    caption = "Products of each part that share with a product of train"
    shares = tuple(
        (one.part, CRITERIA[name], len(rows), len(rows) / max(one.products, 1))
        for one in audited
        for name, rows in one.found.items()
    )
    tables = [Table(("part", "shared with train", "products", "share"), shares, caption)]
    return Section(
        "leaks",
        "What training has seen of the held-out products",
        _verdict(audited),
        (*tables, *_tables(audited)),
        notes=_notes(threshold),
        data=_data(audited, threshold),
    )


def _audit(judged: Judged, shelf: Shelf, part: str, found: dict[str, Rows]) -> Audited:
    evaluation = judged.evaluation
    compared = []
    for result in evaluation.results:
        if result.part == part:
            task = evaluation.tasks[f"{part} {result.task}"]
            touched = {name: _touched(task, shelf, name, rows) for name, rows in found.items()}
            touched[ANY] = set().union(*touched.values())
            compared.append(_compare(result, touched))
    is_ours = _is_made_here(judged.catalog, part)
    faults = len(found["picture"] | titled_alike(shelf, part)) if is_ours else 0
    return Audited(part, len(shelf.rows_of(part)), found, faults, compared)


def _is_made_here(catalog: Catalog, part: str) -> bool:
    return part == "val" and catalog.manifest.made_val


def _touched(task: Task, shelf: Shelf, name: str, rows: Rows) -> set[str]:
    """Queries that ask with, or look for, a product that overlaps or is itself of train."""
    seen = {shelf.ids[row] for row in rows | shelf.rows_of("train")}
    titles = shelf.train_titles() if name == "title" else set()
    return {
        query
        for query, grades in task.qrels.items()
        if task.asks.get(query) in seen
        or any(grade > 0 and product in seen for product, grade in grades.items())
        or fold(task.texts.get(query, "")) in titles
    }


def _compare(result: Result, touched: Mapping[str, set[str]]) -> Compared:
    judged = set(next(iter(result.per_query.values()), {}))
    queries, found = {"all": len(judged)}, {"all": dict(result.means)}
    without: dict[str, Means | None] = dict(found)
    for name, out in touched.items():
        left = judged - out
        queries[name] = len(left)
        table = {
            metric: {query: values[query] for query in left}
            for metric, values in result.per_query.items()
        }
        without[name] = means(table) if len(left) >= FEWEST else None
    return Compared(result.system, result.part, result.task, queries, without)


def _verdict(audited: list[Audited]) -> str:
    failed = [one for one in audited if one.faults]
    if failed:
        parts = ", ".join(
            f"{one.faults} of {one.products} products of {one.part}" for one in failed
        )
        return (
            f"Failed: {parts}, a part that was cut here, are in train too; no figure on it counts."
        )
    found = [
        f"{len(one.found['title']):,} by title and {len(one.found['picture']):,} by picture"
        f" of the {one.products:,} products of {one.part}"
        for one in audited
        if one.found["title"] or one.found["picture"]
    ]
    if not found:
        return "No held-out product shares its title or its very picture with one of train."
    return f"Training has seen {'; '.join(found)}: read the figures without them too."


def _tables(audited: list[Audited]) -> list[Table]:
    """One table for each part and task: every metric of each system, with and without."""
    found = []
    for one in audited:
        for task in dict.fromkeys(compared.task for compared in one.compared):
            rows = [
                row for compared in one.compared if compared.task == task for row in _rows(compared)
            ]
            head = ("system", "metric", "all", *(f"without {name}" for name in CRITERIA))
            caption = f"{one.part}, {task}: without the queries whose products overlap"
            found.append(Table(head, tuple(rows), caption))
    return found


def _rows(compared: Compared) -> list[tuple[str | int | float | None, ...]]:
    names = ("all", *CRITERIA)
    of = compared.means
    metrics = of["all"] or {}
    figures = [
        (compared.system, metric, *((of[name] or {}).get(metric) for name in names))
        for metric in metrics
    ]
    return [(compared.system, "queries", *(compared.queries[name] for name in names)), *figures]


def _notes(threshold: float | None) -> tuple[str, ...]:
    cosine = "" if threshold is None else f", cosine {threshold:.3f} or more of the base encoder"
    return (
        f"as near as a copy{cosine}: as 19 of 20 pictures of train are to themselves, saved anew",
        f"of a part at most {MOST_CHECKED:,} embeddings are compared, drawn by the seed",
        "left out: queries that look for, or ask with, a product that overlaps or is of train",
        "left out by title, too: queries that are themselves a title of train",
        f"fewer than {FEWEST} queries left: too few for a figure",
    )


def _data(audited: list[Audited], threshold: float | None) -> dict[str, object]:
    return {
        "threshold": threshold,
        "failed": any(one.faults for one in audited),
        "parts": {
            one.part: {
                "products": one.products,
                "faults": one.faults,
                "overlap": {name: len(rows) for name, rows in one.found.items()},
                "systems": [vars(compared) for compared in one.compared],
            }
            for one in audited
        },
    }
