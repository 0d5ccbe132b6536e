"""What is asked of one part of a catalogue: text to image, image to image, image to text.

A query is sampled by the seed where there are more than `max_queries`, and one whose relevant
products are all outside the gallery is left out; both are counted in the task's notes.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from xmodal.catalog.language import language_of
from xmodal.catalog.store import Catalog, Judged
from xmodal.retrieval.metrics import Qrels

MOST_TITLES = 5_000  # of a title gallery: a text model reads about 500 a second on a core

TaskName = Literal["text-image", "image-text", "image-image"]


@dataclass(frozen=True)
class Task:
    """Queries of one kind on one part, with what is relevant to each."""

    name: TaskName
    part: str
    qrels: Qrels
    texts: dict[str, str] = field(default_factory=dict)  # query id to text
    images: dict[str, bytes] = field(default_factory=dict)  # query id to encoded picture
    asks: dict[str, str] = field(default_factory=dict)  # or to the product whose picture asks
    titles: list[str] = field(default_factory=list)  # image-text: the gallery
    langs: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    learnt: dict[str, set[str]] = field(default_factory=dict)  # query id to what is not judged


def text_task(
    judged: Judged,
    part: str,
    shown: Collection[str],
    limit: int,
    seed: int,
    *,
    trained: Collection[str] = (),
) -> Task | None:
    """Judged text queries against the gallery of `shown` products; None where there are none.

    Where they are made of titles, a product of `trained` that bears the title was learnt with it:
    it is neither an answer nor a mistake.
    """
    given, learnt = unlearnt(judged, trained)
    qrels, left_out = _in_gallery(given, judged.queries, shown)
    if not qrels:
        return None
    chosen = _sample(qrels, limit, seed)
    notes = [f"{left_out} queries whose products are all outside the gallery are left out"]
    if len(chosen) < len(qrels):
        notes.append(f"{len(chosen)} of {len(qrels)} queries, drawn by the seed")
    if judged.made:
        notes.append("the queries are made of the products' titles, no person judged them")
    if learnt:
        notes.append(
            f"of {len(learnt)} queries, train products bear the title and were learnt with it: "
            "they do not count"
        )
    return Task(
        "text-image",
        part,
        {query: qrels[query] for query in chosen},
        texts={query: judged.queries[query] for query in chosen},
        langs={query: judged.langs.get(query, "") for query in chosen},
        notes=tuple(notes if left_out else notes[1:]),
        learnt={query: learnt[query] for query in chosen if query in learnt},
    )


def image_task(
    catalog: Catalog, part: str, shown: Collection[str], limit: int, seed: int
) -> Task | None:
    """Query pictures against the gallery: judged ones, else products that share a title.

    Made queries: the first picture of a product of the part finds the other products of its
    title; the product itself is left out of the answer. None where no title is shared.
    """
    judged = catalog.judged(part)
    if judged.images:
        qrels, _ = _in_gallery(judged.qrels, judged.images, shown)
        chosen = _sample(qrels, limit, seed)
        images = {query: judged.images[query] for query in chosen}
        return Task("image-image", part, {q: qrels[q] for q in chosen}, images=images)
    title_of = {
        product: same
        for same in _by_title(catalog, shown).values()
        if len(same) > 1
        for product, split in same
        if split == part
    }
    if not title_of:
        return None
    chosen = _sample(title_of, limit, seed)
    return Task(
        "image-image",
        part,
        {query: {other: 1 for other, _ in title_of[query] if other != query} for query in chosen},
        asks={query: query for query in chosen},
        notes=("relevant are the other products of the same title",),
    )


def title_task(
    catalog: Catalog, part: str, shown: Collection[str], limit: int, seed: int
) -> Task | None:
    """The first picture of a product of the part finds its title among all distinct titles."""
    by_title = _by_title(catalog, shown)
    title_of = {
        product: title
        for title, same in by_title.items()
        for product, split in same
        if split == part
    }
    if not title_of:
        return None
    chosen = _sample(title_of, limit, seed)
    titles = _title_gallery(by_title, part, seed)
    return Task(
        "image-text",
        part,
        {query: {title_of[query]: 1} for query in chosen},
        asks={query: query for query in chosen},
        titles=titles,
        langs={query: language_of(title_of[query]) for query in chosen},
        notes=(f"searched: {len(titles)} of {len(by_title)} distinct titles",),
    )


def _title_gallery(
    by_title: Mapping[str, list[tuple[str, str]]], part: str, seed: int
) -> list[str]:
    """The part's own titles, and others up to MOST_TITLES in all, drawn by the seed."""
    own = {title for title, same in by_title.items() if any(split == part for _, split in same)}
    others = {title: None for title in by_title if title not in own}
    return sorted([*own, *_sample(others, max(0, MOST_TITLES - len(own)), seed)])


def unlearnt(judged: Judged, trained: Collection[str]) -> tuple[Qrels, dict[str, set[str]]]:
    """The judgements of made queries without products that were trained on, and those, by query.

    Where people judged, all count: what they typed was not trained on.
    """
    if not judged.made or not trained:
        return judged.qrels, {}
    kept, learnt = {}, {}
    for query, grades in judged.qrels.items():
        kept[query] = {p: grade for p, grade in grades.items() if p not in trained}
        if len(kept[query]) < len(grades):
            learnt[query] = grades.keys() - kept[query].keys()
    return kept, learnt


def _in_gallery(qrels: Qrels, asked: Collection[str], shown: Collection[str]) -> tuple[Qrels, int]:
    """Judgements of shown products; and how many queries lost all relevant ones."""
    kept: Qrels = {}
    for query in asked:
        grades = {product: grade for product, grade in qrels[query].items() if product in shown}
        if any(grades.values()):
            kept[query] = grades
    return kept, len(asked) - len(kept)


def _sample(names: Mapping[str, object], limit: int, seed: int) -> list[str]:
    ordered = sorted(names)
    if len(ordered) <= limit:
        return ordered
    chosen = np.random.default_rng(seed).choice(len(ordered), size=limit, replace=False)
    return [ordered[row] for row in sorted(chosen.tolist())]


def _by_title(catalog: Catalog, shown: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Each title's shown products, as (product_id, split)."""
    columns = catalog.products(["product_id", "title", "split"]).to_pydict()
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for product, title, split in zip(*columns.values(), strict=True):
        if title and product in shown:
            found[title].append((product, split))
    return found
