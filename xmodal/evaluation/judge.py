"""Evaluation: runs of several systems on the same tasks, judged and compared.

    contenders x (part, task) -> run -> per query -> means, slices, comparisons -> Evaluation

A system is a contender (`base`, `tuned`) or a contender with its reranker (`tuned + rerank`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from xmodal.catalog.store import Catalog
from xmodal.evaluation.gallery import Gallery, open_gallery
from xmodal.evaluation.groups import Groups, Known, query_groups, read_known
from xmodal.evaluation.rerank import rerank
from xmodal.evaluation.significance import Comparison, compare, holm, interval
from xmodal.evaluation.slices import Slices, slice_means
from xmodal.evaluation.tasks import Task, TaskName, image_task, text_task, title_task
from xmodal.matcher.saved import Matcher
from xmodal.retrieval.embed import FeatureStore, embed_pictures, embed_texts
from xmodal.retrieval.metrics import (
    PerQuery,
    Run,
    cut,
    means,
    per_query,
    ranked,
    recall_curve,
    without,
)
from xmodal.retrieval.topk import Floats, topk
from xmodal.settings import Settings

DEPTH = 100
ALPHA = 0.05
BOUNDED = ("recall@1", "recall@10", "mrr@10", "ndcg@10")
HELD_OUT = ("dev", "test", "val")
COMPARED = ("mrr@10", "recall@10")
_KEPT = 10  # of an answer, for the report


@dataclass(frozen=True)
class Contender:
    """A matcher under a name, and the vectors that its encoder gave for the catalogue."""

    name: str
    matcher: Matcher
    store: FeatureStore  # "vector+tokens"
    _known: dict[str, Floats] = field(default_factory=dict, init=False, repr=False)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Unit vectors (Q, D) of texts, each embedded once however often it is asked for."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(fresh, embed_texts(self.matcher.encoder, fresh), strict=True))
        rows = [self._known[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.matcher.encoder.dim), np.float32)


@dataclass(frozen=True)
class Result:
    """One system on one task."""

    system: str
    part: str
    task: TaskName
    per_query: PerQuery
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]  # 95 %, of the means of BOUNDED
    slices: Slices
    top: dict[str, list[str]]  # query id to the ten best products
    scores: dict[str, list[float]]  # and to their scores
    curve: list[float]  # mean recall@k for k = 1 to DEPTH


@dataclass(frozen=True)
class Contrast:
    """Two systems on one task, by one metric."""

    part: str
    task: TaskName
    ours: str
    theirs: str
    metric: str
    found: Comparison
    corrected: float = 1.0  # the p-value among all contrasts of the evaluation, by Holm

    @property
    def is_significant(self) -> bool:
        """Whether the difference is more than chance, all others being tried too."""
        return self.corrected < ALPHA


@dataclass(frozen=True)
class Evaluation:
    """All results, in the order base, tuned, reranked; by part and task."""

    results: list[Result]
    contrasts: list[Contrast]
    tasks: dict[str, Task]  # "part task" to what was asked
    gallery: dict[str, int]  # products and pictures in the gallery
    groups: dict[str, Groups]  # "part task" to the groups of its queries

    def result(self, system: str, part: str, task: TaskName = "text-image") -> Result | None:
        """The result of one system on one task, if it was judged."""
        for one in self.results:
            if (one.system, one.part, one.task) == (system, part, task):
                return one
        return None

    @property
    def headline(self) -> list[Result]:
        """All systems on the text queries of the first of dev, test and val that has any.

        `val` comes last: checkpoints are picked by it.
        """
        for part in HELD_OUT:
            found = [one for one in self.results if (one.part, one.task) == (part, "text-image")]
            if found:
                return found
        return []

    @property
    def asked(self) -> Task | None:
        """The text queries that `headline` answers."""
        return self.tasks[f"{self.headline[0].part} text-image"] if self.headline else None

    def per_query(self, system: str, part: str, task: TaskName = "text-image") -> PerQuery:
        """Its table of each query, such as the gate wants; empty where it was not judged."""
        found = self.result(system, part, task)
        return found.per_query if found else {}


def evaluate(
    contenders: Sequence[Contender],
    catalog: Catalog,
    parts: Sequence[str],
    settings: Settings,
    progress: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Judge all contenders on each of `parts` (`val`, `dev`, `test`) that has judged queries.

    The gallery is every product with a picture, as pictures alone. A contender with a reranker is
    judged twice on text queries: by its first stage, and with `reranker.candidates` re-ordered.
    `progress` is told its share for each contender and task that is done.

    Returns:
        An Evaluation without results where no part has a query.
    """
    first = contenders[0]
    gallery = open_gallery(catalog, first.store, first.matcher.encoder)
    tasks = make_tasks(catalog, gallery, parts, settings)
    known = read_known(catalog, tasks)
    groups = {_key(task): _groups(task, known) for task in tasks}
    results: list[Result] = []
    for contender in contenders:
        if contender is not first:
            gallery = open_gallery(catalog, contender.store, contender.matcher.encoder)
        for task in tasks:
            for system, run in make_runs(contender, task, gallery, settings.reranker.candidates):
                results.append(judge(system, task, run, groups[_key(task)], settings))
            progress(1 / (len(contenders) * len(tasks)))
    sizes = {"products": len(gallery.shown), "pictures": len(gallery.vector_ND)}
    named = {_key(task): task for task in tasks}
    return Evaluation(results, contrast(results, tasks, settings), named, sizes, groups)


def make_tasks(
    catalog: Catalog, gallery: Gallery, parts: Sequence[str], settings: Settings
) -> list[Task]:
    """The tasks of each part that has any."""
    shown, limit, seed = gallery.shown, settings.evaluation.max_queries, settings.seed
    trained = catalog.ids_of("train")
    found: list[Task | None] = []
    for part in parts:
        judged = catalog.judged(part)
        found.append(text_task(judged, part, shown, limit, seed, trained=trained))
        found.append(image_task(catalog, part, shown, limit, seed))
        found.append(title_task(catalog, part, shown, limit, seed))
    return [task for task in found if task is not None]


def make_runs(
    contender: Contender, task: Task, gallery: Gallery, candidates: int
) -> list[tuple[str, Run]]:
    """The system's run, and that of the system with its reranker, where it has one."""
    encoder = contender.matcher.encoder
    if task.name == "image-text":
        vectors = gallery.first_pictures(list(task.asks.values()))
        return [(contender.name, _title_run(task, vectors, contender.embed_texts(task.titles)))]
    if task.name == "image-image":
        if task.images:
            vectors = embed_pictures(encoder, list(task.images.values()))
        else:
            vectors = gallery.first_pictures(list(task.asks.values()))
        names = list(task.images or task.asks)
        return [(contender.name, gallery.search(names, vectors, DEPTH, own=task.asks))]
    vectors = contender.embed_texts(list(task.texts.values()))
    reranker = contender.matcher.reranker
    depth = max(DEPTH, candidates) if reranker else DEPTH
    run = gallery.search(list(task.texts), vectors, depth)
    found = [(contender.name, cut(run, DEPTH))]
    if reranker is not None:
        again = rerank(
            contender.matcher, task.texts, run, gallery, contender.store, candidates=candidates
        )
        found.append((f"{contender.name} + rerank", cut(again, DEPTH)))
    return found


def judge(system: str, task: Task, run: Run, groups: Groups, settings: Settings) -> Result:
    """Score one run, as a whole and by `groups` of its queries."""
    run = without(run, task.learnt) if task.learnt else run
    table = per_query(run, task.qrels, gains=settings.evaluation.gains)
    draws = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
    top = {query: ranked(answer)[:_KEPT] for query, answer in run.items()}
    return Result(
        system=system,
        part=task.part,
        task=task.name,
        per_query=table,
        means=means(table),
        intervals={name: interval([*table[name].values()], **draws) for name in BOUNDED},
        slices=slice_means(table, groups),
        top=top,
        scores={query: [run[query][product] for product in top[query]] for query in run},
        curve=recall_curve(run, task.qrels, DEPTH),
    )


def contrast(
    results: Sequence[Result], tasks: Sequence[Task], settings: Settings
) -> list[Contrast]:
    """Each system against the one before it on each task, and the last against the first.

    The p-values are corrected for the family of all of them.
    """
    found = []
    for task in tasks:
        here = [one for one in results if (one.part, one.task) == (task.part, task.name)]
        pairs = [*pairwise(here), *([(here[0], here[-1])] if len(here) > 2 else [])]
        for theirs, ours in pairs:
            for metric in COMPARED:
                compared = compare(
                    ours.per_query[metric],
                    theirs.per_query[metric],
                    resamples=settings.evaluation.bootstrap,
                    seed=settings.seed,
                )
                found.append(
                    Contrast(task.part, task.name, ours.system, theirs.system, metric, compared)
                )
    corrected = holm([one.found.p_value for one in found])
    return [replace(one, corrected=p) for one, p in zip(found, corrected, strict=True)]


def _key(task: Task) -> str:
    return f"{task.part} {task.name}"


def _groups(task: Task, known: Known) -> Groups:
    return query_groups(task, known) if task.name == "text-image" else {}


def _title_run(task: Task, picture_QD: Floats, title_ND: Floats) -> Run:
    scores_QK, rows_QK = topk(picture_QD, title_ND, min(DEPTH, len(title_ND)))
    return {
        query: dict(zip(np.take(task.titles, rows).tolist(), scores, strict=True))
        for query, rows, scores in zip(task.asks, rows_QK, scores_QK.tolist(), strict=True)
    }
