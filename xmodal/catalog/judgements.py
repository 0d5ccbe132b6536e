"""Judgements that a foreign catalogue brings along: rows become judged queries, or faults."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from xmodal.catalog.judged import Queries
from xmodal.catalog.language import language_of
from xmodal.catalog.rows import RowFault
from xmodal.catalog.schema import Split


@dataclass(frozen=True)
class Judgement:
    """One row: a query, and the grade (0 to 3) of each product that it judges."""

    file: str
    row: int  # counted from 1
    part: Split = "train"
    query_id: str = ""
    text: str = ""
    grades: Mapping[str, int] | None = None
    lang: str = ""
    fault: RowFault | None = None


def gather(
    rows: Iterable[Judgement],
    known: Container[str],
    lost: Container[str],
    refuse: Callable[[Judgement, RowFault], None],
    labels: Mapping[int, str],
) -> tuple[dict[Split, Queries], int]:
    """The judged queries of each part, and how many rows there were.

    Args:
        rows: a query may come in many.
        known: ids of the catalogue's products.
        lost: ids of products in quarantine: their judgements are left out, that is no fault.
        refuse: told of each row that cannot be taken.
        labels: what the set calls its grades.
    """
    found: dict[Split, Queries] = {}
    n = 0
    for one in rows:
        n += 1
        try:
            grades = _checked(one, known, lost)
        except RowFault as fault:
            refuse(one, fault)
            continue
        queries = found.setdefault(one.part, Queries(labels=dict(labels)))
        queries.texts.setdefault(one.query_id, one.text)
        queries.langs.setdefault(one.query_id, one.lang or language_of(one.text))
        queries.qrels.setdefault(one.query_id, {}).update(grades)
    return {part: queries.only(_judging(queries)) for part, queries in found.items()}, n


def _checked(one: Judgement, known: Container[str], lost: Container[str]) -> dict[str, int]:
    if one.fault is not None:
        raise one.fault
    if not one.query_id or not one.text.strip():
        raise RowFault("no_query", "the query has no id" if not one.query_id else "no text")
    grades = {p: grade for p, grade in (one.grades or {}).items() if p not in lost}
    strange = next((product for product in grades if product not in known), None)
    if strange is not None:
        raise RowFault("judged_unknown", f"product {strange!r} is not in the catalogue")
    return grades


def _judging(queries: Queries) -> set[str]:
    """The queries that have a relevant product."""
    return {query for query, grades in queries.qrels.items() if any(grades.values())}
