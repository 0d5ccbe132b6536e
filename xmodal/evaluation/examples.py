"""Queries to look at: where the last system gains most, where it loses, and what it still misses.

Pictures are small JPEGs as data URIs.
"""

import base64
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from xmodal.catalog.store import Catalog
from xmodal.evaluation.judge import Evaluation, Result
from xmodal.matcher.inputs import decode
from xmodal.retrieval.metrics import RANK

_SHOWN = 5  # products of an answer
_SIDE = 168  # pixels: twice the size on the page, for sharp screens


@dataclass(frozen=True)
class Picked:
    """One query, what it should have found, and the answers before and after, as product ids."""

    text: str
    relevant: str  # the product of the highest grade
    grades: Mapping[str, int]
    before: list[str]  # of the first system
    after: list[str]
    rank_before: float
    rank_after: float


@dataclass(frozen=True)
class Examples:
    """Some queries of each sort; no query is in two."""

    wins: list[Picked]
    losses: list[Picked]
    missed: list[Picked]


def pick(evaluation: Evaluation, first: Result, last: Result, count: int) -> Examples:
    """`count` queries of each sort, those with the largest change of nDCG@10 first."""
    quality, before = last.per_query["ndcg@10"], first.per_query["ndcg@10"]
    ranks, were = last.per_query[RANK], first.per_query[RANK]
    change = {query: quality[query] - before[query] for query in quality}
    task = evaluation.tasks[f"{last.part} {last.task}"]

    def picked(query: str) -> Picked:
        grades = task.qrels[query]
        return Picked(
            text=task.texts[query],
            relevant=max(sorted(grades), key=lambda product: grades[product]),
            grades=grades,
            before=first.top.get(query, [])[:_SHOWN],
            after=last.top.get(query, [])[:_SHOWN],
            rank_before=were[query],
            rank_after=ranks[query],
        )

    up = sorted((q for q in change if change[q] > 0), key=lambda q: (-change[q], q))[:count]
    down = sorted((q for q in change if change[q] < 0), key=lambda q: (change[q], q))[:count]
    seen = {*up, *down}
    lost = [q for q in sorted(ranks, key=lambda q: (-ranks[q], quality[q], q)) if q not in seen]
    missed = [query for query in lost if quality[query] == 0][:count]
    return Examples(*([picked(query) for query in some] for some in (up, down, missed)))


def thumbnails(catalog: Catalog, products: Collection[str]) -> dict[str, str]:
    """A small JPEG of the first picture of each product, as a data URI."""
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    found = {}
    for row, product in enumerate(ids):
        if product in products:
            for _, _, encoded in catalog.images(row, row + 1):
                found[product] = _data_uri(encoded)
                break
    return found


def _data_uri(encoded: bytes) -> str:
    picture = decode(encoded, (_SIDE, _SIDE))
    picture.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
