"""Queries and candidates as rules leave them: reworded, and without those that are hidden.

Shapes: K candidates, D embedding size.
"""

from dataclasses import replace

from xmodal.search.query import Candidates, Extra, Query, Related, Retriever
from xmodal.search.reorder import attributes_of
from xmodal.search.rules import Ruling, Shown, rewritten
from xmodal.search.wishes import Floats

MOST = 16_384  # nearest products that are looked through for what is not hidden


async def retrieve_shown(
    retriever: Retriever,
    vector_D: Floats,
    k: int,
    asked: Query | Related,
    deadline_s: float,
    *,
    extra: Extra | None = None,
) -> Candidates:
    """At least the k nearest products that no rule hides, if there are so many."""
    kind = asked.kind if isinstance(asked, Query) else "image"
    more = {} if extra is None else {"extra": extra}
    least = k
    while True:
        found = await retriever.retrieve(vector_D, k, asked.wanted, kind, deadline_s, **more)
        kept = _kept(found, asked.rules)
        if kept.nearest >= least or found.nearest < k or k >= MOST:
            return kept
        k = min(4 * k, MOST)


def reworded(query: Query) -> Query:
    """The query with its texts as synonyms leave them."""
    synonyms = query.rules.synonyms
    if not synonyms or not query.text:
        return query
    parts = tuple(replace(part, text=rewritten(part.text, synonyms)) for part in query.parts)
    return replace(query, text=rewritten(query.text, synonyms), parts=parts)


def products_of(found: Candidates) -> list[Shown]:
    """What rules see of candidates."""
    prices = found.prices or [None] * len(found)
    rows = zip(found.product_ids, attributes_of(found), prices, strict=True)
    return [Shown(*row) for row in rows]


def _kept(found: Candidates, rules: Ruling) -> Candidates:
    if not rules.hides:
        return found
    is_kept = [not rules.hidden(product) for product in products_of(found)]
    places = [place for place, one in enumerate(is_kept) if one]
    return replace(found.at(places), near=sum(is_kept[: found.nearest]))
