"""From a search request to the query that the stages answer, or to what is wrong with it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from serve.filters import filter_of
from serve.problems import Problem
from serve.schemas import SearchRequest, decode_image
from serve.wishes import TextPart
from xmodal.errors import FilterError, RequestError
from xmodal.index.facets import PRICE, Facets
from xmodal.index.filters import unknown_attribute
from xmodal.search.compose import spoken
from xmodal.search.cursor import Cursor, fingerprint, read_cursor, write_cursor
from xmodal.search.query import Answer, Query, Retriever
from xmodal.search.wishes import Boost, Decay, Order, Part, Sort


def query_of(request: SearchRequest, collapse: str | None) -> Query:
    """The query behind a request, without its place.

    Args:
        collapse: the attribute that `collapse` goes by, where the service names one.

    Raises RequestError.
    """
    if request.collapse and collapse is None:
        message = "this service names no attribute to collapse by; set serve.collapse_attribute"
        raise RequestError(message, "collapse", "not_configured")
    if request.candidates is not None and request.candidates < request.limit:
        message = f"is below `limit`, {request.limit}; give at least as many"
        raise RequestError(f"`candidates` {message}", "candidates")
    parts = _parts(request.text)
    text = request.text if isinstance(request.text, str) else spoken(parts)
    is_one = len(parts) == 1 and parts[0].weight > 0 and request.image is None
    return Query(
        text=text,
        image=decode_image(request.image) if request.image is not None else None,
        limit=request.limit,
        wanted=filter_of(request.filter),
        rerank=request.rerank,
        parts=() if is_one else parts,
        history=tuple(request.user_history),
        history_weight=request.history_weight,
        candidates=request.candidates,
        order=_order(request, collapse),
        explain=request.explain,
        hybrid=request.hybrid,
    )


def placed(query: Query, cursor: str) -> tuple[Query, str]:
    """The query with the place of its cursor, and the release that it belongs to.

    Raises RequestError for a cursor of another query, or for none at all.
    """
    found: Cursor = read_cursor(cursor)
    if found.query != fingerprint(query):
        message = "the cursor is another request's; hand it back with the request that it answered"
        raise RequestError(message, "cursor", "another_query")
    return replace(query, place=found.place), found.release


def gone(release: str) -> Problem:
    """The answer for a cursor of a release that is no longer open."""
    message = f"the cursor is of release {release}, which is gone; ask again without it"
    return Problem(410, "release_gone", message, "cursor")


async def counted(
    retriever: Retriever, names: Sequence[str], query: Query, deadline_s: float
) -> dict[str, dict[str, int]] | None:
    """The facets that a request asks for, over all products that pass its filter."""
    if not names:
        return None
    found = await retriever.counts(names, query.wanted, deadline_s)
    return {name: dict(counts) for name, counts in found.items()}


def cursor_of(query: Query, answer: Answer, release: str) -> str | None:
    """What leads to the page after `answer`; None where it is the last."""
    if answer.place is None:
        return None
    return write_cursor(Cursor(release, fingerprint(query), answer.place))


def check_fields(request: SearchRequest, query: Query, facets: Facets) -> None:
    """Raises RequestError where a wish names what the catalogue does not have."""
    order = query.order
    named = [("facets", name) for name in request.facets]
    named += [("boost", boost.field) for boost in order.boosts]
    named += [("decay", order.decay.field)] if order.decay else []
    named += [("collapse", order.collapse)] if order.collapse else []
    named += [("sort", order.sort.field)] if order.sort and order.sort.field != PRICE else []
    for field, name in named:
        if name not in facets.values:
            error: FilterError = unknown_attribute(name, facets.keys)
            raise RequestError(str(error), field, "unknown_attribute")
    if order.decay and np.isnan(facets.days(order.decay.field)).all():
        message = f"no value of {order.decay.field!r} is an ISO date (2026-05-31)"
        raise RequestError(message, "decay", "not_a_date")
    if order.sort and order.sort.field != PRICE:
        values = facets.numbers(order.sort.field), facets.days(order.sort.field)
        if np.isnan(values).all():
            message = f"no value of {order.sort.field!r} is a number or an ISO date"
            raise RequestError(message, "sort", "not_a_number")


def _parts(text: str | list[TextPart] | None) -> tuple[Part, ...]:
    if not isinstance(text, list):
        return ()
    return tuple(Part(part.text, part.weight) for part in text if part.weight)


def _order(request: SearchRequest, collapse: str | None) -> Order:
    sort, decay = request.sort, request.decay
    return Order(
        boosts=tuple(Boost(one.field, one.value, one.weight) for one in request.boost),
        decay=Decay(decay.field, decay.half_life_days) if decay else None,
        sort=Sort(sort.field, sort.order) if sort else None,
        collapse=collapse if request.collapse else None,
        min_score=request.min_score,
    )
