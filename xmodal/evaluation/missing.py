"""Missing fields: what it costs a product to lack its picture or title, or to have a wrong one.

The gallery shows pictures with titles (`--gallery product`). Queries that are a relevant
product's title are left out: they would find the string, not the product.

Shapes: P products of the sampled gallery, Q queries, D embedding.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from xmodal.catalog.language import fold, language_of
from xmodal.catalog.store import Catalog
from xmodal.evaluation.gallery import fused, open_gallery
from xmodal.evaluation.judge import Contender
from xmodal.evaluation.sections import Judged, Section, Table
from xmodal.evaluation.significance import Comparison, compare, holm
from xmodal.evaluation.slices import FEWEST
from xmodal.evaluation.tasks import Task
from xmodal.matcher.words import words
from xmodal.retrieval.metrics import Qrels, Run, per_query
from xmodal.retrieval.topk import Floats, topk

QUERIES = 100
PRODUCTS = 2_000  # in the gallery: a text model reads about 500 titles a second on a core
_DEPTH = 10
_FEWEST_TERMS = 2  # of a title in the other language


@dataclass(frozen=True)
class Sample:
    """Queries, and a gallery of P products: the relevant ones first, then others."""

    texts: dict[str, str]
    qrels: Qrels
    products: list[str]
    n_relevant: int
    titles: list[str]  # of all P
    others: list[str]  # titles of the relevant ones in the other language; "" where none is known


@dataclass(frozen=True)
class Lack:
    """A system's R@10 where the relevant products lack something, against complete ones."""

    system: str
    lack: str
    recall: Comparison
    mrr: Comparison


def missing_fields(judged: Judged) -> Section | None:
    """What each lack costs each contender's first stage; None with too few text queries."""
    task = judged.evaluation.asked
    if task is None or len(task.qrels) < FEWEST:
        return None
    first = judged.contenders[0]
    gallery = open_gallery(judged.catalog, first.store, first.matcher.encoder)
    sample = draw_sample(judged.catalog, task, gallery.shown, judged.settings.seed)
    if len(sample.texts) < FEWEST:
        return Section(
            "missing",
            "What does a missing picture or title cost?",
            f"Not measured: all but {len(sample.texts)} of the {len(task.qrels)} queries are the "
            "title of a product that they are to find, so a gallery with titles would be searched "
            "for its own text.",
        )
    found = [lack for one in judged.contenders for lack in lacks(one, judged.catalog, sample)]
    return _section(found, sample, task)


def draw_sample(catalog: Catalog, task: Task, shown: set[str], seed: int) -> Sample:
    """Queries that are no title of theirs, and products to search, by the seed."""
    glossary = catalog.glossary()
    rows = catalog.rows(["product_id", "title", "attributes"])
    known = {row["product_id"]: row for row in rows if row["product_id"] in shown and row["title"]}
    names = sorted(task.qrels)
    rng = random.Random(seed)
    rng.shuffle(names)
    qrels: Qrels = {}
    chosen: set[str] = set()
    for name in names:
        grades = {p: grade for p, grade in task.qrels[name].items() if p in known}
        asked = fold(task.texts[name])
        is_title = any(fold(known[product]["title"]) == asked for product in grades)
        wanted = chosen.union(product for product, grade in grades.items() if grade > 0)
        has_room = len(qrels) < QUERIES and len(wanted) <= PRODUCTS // 2
        if any(grades.values()) and not is_title and has_room:
            qrels[name], chosen = grades, wanted
    relevant = sorted(chosen)
    rest = sorted(known.keys() - set(relevant))
    rest = rng.sample(rest, min(len(rest), max(0, PRODUCTS - len(relevant))))
    products = [*relevant, *rest]
    others = [
        other_title(known[p]["title"], known[p]["attributes"] or {}, glossary) for p in relevant
    ]
    titles = [known[product]["title"] for product in products]
    texts = {name: task.texts[name] for name in qrels}
    return Sample(texts, qrels, products, len(relevant), titles, others)


def other_title(
    title: str, attributes: Mapping[str, str], glossary: Mapping[str, Mapping[str, str]]
) -> str:
    """A title in the other language, of the attributes that the glossary knows, kinds last.

    >>> glossary = {"kind": {"Shoes": "鞋"}, "colour": {"Red": "红色"}}
    >>> red = {"kind": "Shoes", "colour": "Red"}
    >>> other_title("Nike Red Shoes", red, glossary), other_title("红鞋", red, glossary)
    ('红色鞋', 'Red Shoes')
    """
    known = [n for n in reversed(list(glossary)) if attributes.get(n, "") in glossary[n]]
    if len(known) < _FEWEST_TERMS:
        return ""
    if language_of(title) == "zh":
        return " ".join(attributes[name] for name in known)
    return "".join(glossary[name][attributes[name]] for name in known)


def lacks(contender: Contender, catalog: Catalog, sample: Sample) -> list[Lack]:
    """Each lack of the relevant products, all at once; the other products stay complete."""
    encoder, n = contender.matcher.encoder, sample.n_relevant
    gallery = open_gallery(catalog, contender.store, encoder)
    picture_PD = gallery.first_pictures(sample.products)
    title_PD = contender.embed_texts(sample.titles)
    query_QD = contender.embed_texts(list(sample.texts.values()))
    wrong = np.random.default_rng(0).permutation(len(sample.products))[:n]
    wrong = np.where(wrong == np.arange(n), (wrong + 1) % len(sample.products), wrong)
    own = slice(0, n)
    forms = {
        "image only": picture_PD[own],
        "title only": title_PD[own],
        "wrong image": fused(picture_PD[wrong], title_PD[own]),
    }
    if any(sample.others):
        other_PD = contender.embed_texts(sample.others)
        forms["title in the other language"] = fused(picture_PD[own], other_PD)
        forms["title only, in the other language"] = other_PD

    def run(relevant_PD: Floats) -> Run:
        whole_PD = fused(picture_PD, title_PD)
        whole_PD[own] = relevant_PD
        scores_QK, rows_QK = topk(query_QD, whole_PD, min(_DEPTH, len(whole_PD)))
        return {
            name: dict(zip(np.take(sample.products, rows).tolist(), scores, strict=True))
            for name, rows, scores in zip(sample.texts, rows_QK, scores_QK.tolist(), strict=True)
        }

    complete = run(fused(picture_PD[own], title_PD[own]))
    return [
        _lack(contender.name, lack, (run(form), complete), sample) for lack, form in forms.items()
    ]


def _lack(system: str, lack: str, runs: tuple[Run, Run], sample: Sample) -> Lack:
    """The comparison, over queries that are not made of the text that is searched."""
    asked = sample.qrels
    if "other language" in lack:
        titles = dict(zip(sample.products, map(set, map(words, sample.others)), strict=False))
        asked = {
            query: grades
            for query, grades in asked.items()
            if all(
                titles[p] and not set(words(sample.texts[query])) <= titles[p]
                for p, grade in grades.items()
                if grade > 0
            )
        }
    ours, theirs = (per_query(run, asked) for run in runs)
    recall, mrr = (compare(ours[name], theirs[name]) for name in ("recall@10", "mrr@10"))
    return Lack(system, lack, recall, mrr)


def _section(found: Sequence[Lack], sample: Sample, task: Task) -> Section:
    rows: list[tuple[str | int | float | None, ...]] = []
    for system in dict.fromkeys(one.system for one in found):
        mine = [one for one in found if one.system == system]
        for one, p in zip(mine, holm([one.recall.p_value for one in mine]), strict=True):
            rows.append(_row(one, p))
    last = [one for one in found if one.system == found[-1].system]
    said = [
        f"{one.lack} {one.recall.ours / one.recall.theirs:.0%}"
        for one in last
        if one.recall.queries >= FEWEST and one.recall.theirs
    ]
    head = (
        *("System", "Relevant products have", "Queries", "R@10 complete", "R@10"),
        *("95 % of the difference", "p", "MRR complete", "MRR"),
    )
    has_others = any(sample.others)
    notes = (
        f"{len(sample.texts)} of {len(task.qrels)} queries of {task.part}, none of them a title",
        f"searched: {len(sample.products):,} products, their first picture with their title",
        "the relevant products change all at once, the others stay complete; first stage alone",
        "p is Holm's, over the lacks of a system",
        "titles in the other language are made of attributes; no query of those words alone asks"
        if has_others
        else "no titles in the other language: the glossary knows too few of the attributes",
    )
    return Section(
        name="missing",
        title="What does a missing picture or title cost?",
        verdict=f"Of the R@10 of complete products {found[-1].system} keeps: {', '.join(said)}."
        if said
        else "Too few queries to say.",
        tables=(Table(head, tuple(rows)),),
        notes=notes,
        data={"lacks": [asdict(one) for one in found], "products": len(sample.products)},
    )


def _row(one: Lack, p: float) -> tuple[str | int | float | None, ...]:
    start = (one.system, one.lack, one.recall.queries)
    if one.recall.queries < FEWEST:
        return (*start, *[None] * 6)
    interval = f"{one.recall.low:+.3f} to {one.recall.high:+.3f}"
    recall = (one.recall.theirs, one.recall.ours, interval, p)
    return (*start, *recall, one.mrr.theirs, one.mrr.ours)
