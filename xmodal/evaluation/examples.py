"""Queries to look at: the best and the worst of one system, with pictures as data URIs."""

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
    """One query, its answer and what it should have found, as product ids."""

    query: str
    text: str
    relevant: str
    grades: Mapping[str, int]
    answer: list[str]
    rank: float
    rank_before: float  # of the first system


def pick(evaluation: Evaluation, result: Result, count: int) -> tuple[list[Picked], list[Picked]]:
    """The best queries (with the largest gain over the first system) and the worst ones."""
    first = next(one for one in evaluation.results if (one.part, one.task) == _place(result))
    ranks, before = result.per_query[RANK], first.per_query[RANK]
    quality = result.per_query["ndcg@10"]
    by_gain = sorted(ranks, key=lambda q: (-quality[q], ranks[q] - before[q], q))
    best = by_gain[:count]
    chosen = set(best)
    by_rank = sorted(ranks, key=lambda q: (-ranks[q], quality[q], q))
    worst = [query for query in by_rank if query not in chosen][:count]
    task = evaluation.tasks[f"{result.part} {result.task}"]

    def picked(query: str) -> Picked:
        grades = task.qrels[query]
        wanted = max(sorted(grades), key=lambda product: grades[product])
        text = task.texts[query]
        top = result.top.get(query, [])[:_SHOWN]
        return Picked(query, text, wanted, grades, top, ranks[query], before[query])

    return [picked(query) for query in best], [picked(query) for query in worst]


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


def _place(result: Result) -> tuple[str, str]:
    return result.part, result.task


def _data_uri(encoded: bytes) -> str:
    picture = decode(encoded, (_SIDE, _SIDE))
    picture.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
