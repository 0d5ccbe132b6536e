"""Pages of one answer, none of which overlap or leave a product out.

    place (head still to be shown, key in the tail) + window (the first stage's) -> hits, next place

The list that is paged is the head, in the order that the reranker and the wishes gave it on the
first page, and behind it the tail: all others of the window in the first stage's order. The window
is a prefix of one fixed order (`Index.search`), so each page may take as large a one as it needs.

Shapes: K candidates of the window, R of the head.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from xmodal.search.query import Candidates, Hit, Query, Why
from xmodal.search.reorder import applied, attributes_of, groups, ordered, rescored
from xmodal.search.shown import products_of
from xmodal.search.wishes import Floats, Head, Names, Place

DEPTH = 1000  # products of the first stage that can be paged through


@dataclass(frozen=True)
class Entry:
    """A product of the list: where it stands in the window, and what it is worth."""

    at: int
    raw: float
    score: float
    probability: float
    head_at: int | None = None
    """Where it stands in the head; None: in the tail."""


@dataclass(frozen=True)
class Page:
    """One page, and where the next begins."""

    found: Candidates
    entries: Sequence[Entry]
    place: Place | None
    is_short: bool
    """There may be more in a larger window."""


def name_of(product_id: str) -> int:
    """A product's id in eight bytes, for the record of the head."""
    digest = hashlib.blake2b(product_id.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


def names_of(product_ids: Sequence[str]) -> Names:
    """`name_of` each."""
    return np.array([name_of(one) for one in product_ids], dtype=np.uint64)


def window_size(query: Query, place: Place) -> int:
    """How much of the first stage's list a page at `place` needs."""
    if query.order.thins:
        return DEPTH
    tail = 0 if query.order.sort else place.seen + query.limit + 1
    return min(DEPTH, place.head_size + tail)


def begin(
    place: Place, query: Query, scored: Candidates, probability_K: Floats, today: date
) -> Place:
    """The place of the first page, with `scored` as its head.

    Args:
        scored: the candidates in the order of their own scores.
        probability_K: of each, by its own score; NaN where nothing can be said.
    """
    order = query.order
    score_K = rescored(scored, order, today) if order.boosts or order.decay else scored.scores
    best_first = _by_rules(query, scored, score_K)
    kept: list[int] = []
    dropped: list[int] = []
    seen: set[str] = set()
    group_K = groups(scored, order.collapse) if order.collapse else scored.product_ids
    for k in best_first:
        is_kept = _is_likely(float(probability_K[k]), query) and group_K[k] not in seen
        (kept if is_kept else dropped).append(k)
        seen |= {group_K[k]} if is_kept else set()
    if order.sort is not None:
        left = set(kept)
        kept = [k for k in ordered(scored, score_K, order.sort) if k in left]
    else:
        kept = query.rules.placed(scored.product_ids, kept)
    names = names_of(scored.product_ids)
    whole = Head(names, scored.scores.astype(np.float32), score_K, probability_K)
    return replace(place, head=whole.at(kept), dropped_X=names[dropped])


def within(place: Place, found: Candidates) -> Candidates:
    """The window without what was found far from the query, unless it belongs to the head.

    Behind the nearest k the tail would go on with a product of which others are nearer.
    """
    if found.nearest == len(found):
        return found
    name_K = names_of(found.product_ids)
    in_head_K = np.isin(name_K, np.concatenate([place.head.name_R, place.shown_S, place.dropped_X]))
    in_head_K[: found.nearest] = True
    return found.at(np.flatnonzero(in_head_K).tolist())


def turn(query: Query, place: Place, found: Candidates, tail_probability_K: Floats) -> Page:
    """The page that begins at `place`.

    Args:
        found: the window, at least `window_size` or all that there is.
        tail_probability_K: of each of the window by the first stage's score; NaN for none.
    """
    name_K = names_of(found.product_ids)
    head = list(_head(place, name_K))
    listed = [*head, *_tail(query, place, found, name_K, tail_probability_K)]
    entries = listed[: query.limit]
    is_ending = len(listed) <= query.limit and not query.order.sort
    is_short = is_ending or len(head) < len(place.head)
    rest = len(listed) > query.limit
    return Page(found, entries, _after(place, found, entries) if rest else None, is_short)


def hits_of_page(query: Query, page: Page, place: Place) -> list[Hit]:
    """What the page shows."""
    order, found = query.order, page.found
    shown = found.at([entry.at for entry in page.entries])
    group_K = groups(found, order.collapse) if order.collapse else []
    sizes = Counter(group_K)
    hits = []
    rows = zip(page.entries, shown.product_ids, shown.titles, attributes_of(shown), strict=True)
    for entry, product_id, title, attributes in rows:
        hit = Hit(product_id, entry.score, title, attributes)
        if not np.isnan(entry.probability):
            hit = replace(hit, probability=round(entry.probability, 4))
        if order.collapse:
            hit = replace(hit, collapsed=sizes[group_K[entry.at]] - 1)
        if query.explain:
            boosts = applied(order.boosts, attributes) if entry.head_at is not None else []
            decay = entry.score - entry.raw - sum(boost.weight for boost in boosts)
            reranked = entry.raw if place.is_reranked and entry.head_at is not None else None
            why = Why(float(found.scores[entry.at]), reranked, boosts, round(decay, 6))
            hit = replace(hit, why=why)
        hits.append(hit)
    return hits


def _by_rules(query: Query, scored: Candidates, score_K: Floats) -> list[int]:
    """Places of the candidates by score and rules, pinned ones first; a field's order wins."""
    rules = query.rules
    if query.order.sort is not None or not rules.reorders:
        return ordered(scored, score_K, None)
    best_first = ordered(scored, rules.moved(products_of(scored), score_K), None)
    pinned = set(rules.pinned)
    return sorted(best_first, key=lambda k: scored.product_ids[k] not in pinned)


def _head(place: Place, name_K: Names) -> Iterator[Entry]:
    """What of the head is still to be shown; a product that is gone since is passed over."""
    head = place.head
    at = {int(name): k for k, name in enumerate(name_K)}
    columns = (head.name_R, head.raw_R, head.score_R, head.probability_R)
    for number, (name, raw, score, probability) in enumerate(zip(*columns, strict=True)):
        k = at.get(int(name))
        if k is not None:
            yield Entry(k, float(raw), float(score), float(probability), number)


def _tail(
    query: Query, place: Place, found: Candidates, name_K: Names, probability_K: Floats
) -> Iterator[Entry]:
    """What of the window is behind the head and behind the last product shown."""
    if query.order.sort is not None:
        return
    in_head = np.concatenate([place.head.name_R, place.shown_S, place.dropped_X])
    is_tail_K = ~np.isin(name_K, in_head)
    group_K = groups(found, query.order.collapse) if query.order.collapse else None
    shown = np.concatenate([place.head.name_R, place.shown_S])
    seen = {group_K[k] for k in np.flatnonzero(np.isin(name_K, shown))} if group_K else set()
    for k in map(int, np.flatnonzero(is_tail_K)):
        score = float(found.scores[k])
        if not _is_likely(float(probability_K[k]), query):
            continue
        if group_K is not None:
            if group_K[k] in seen:
                continue
            seen.add(group_K[k])
        if place.after is None or _key(score, found.product_ids[k]) > _key(*place.after):
            yield Entry(k, score, score, float(probability_K[k]))


def _after(place: Place, found: Candidates, entries: Sequence[Entry]) -> Place:
    """The place behind these entries."""
    in_head = [entry.head_at for entry in entries if entry.head_at is not None]
    if in_head:
        # Those before the last one that were passed over are gone; the record drops them too.
        stop = in_head[-1] + 1
        shown_S = np.concatenate([place.shown_S, place.head.name_R[:stop]])
        rest = place.head.at(list(range(stop, len(place.head))))
        place = replace(place, head=rest, shown_S=shown_S)
    tail = [entry for entry in entries if entry.head_at is None]
    if not tail:
        return place
    last = tail[-1]
    after = (float(found.scores[last.at]), found.product_ids[last.at])
    seen = max(place.seen + len(tail), last.at + 1 - place.head_size)
    return replace(place, after=after, seen=seen)


def _key(score: float, product_id: str) -> tuple[float, str]:
    return -score, product_id


def _is_likely(probability: float, query: Query) -> bool:
    """NaN, where nothing can be said, passes: who asks for a least one is refused beforehand."""
    least = query.order.min_score
    return least is None or not probability < least


def nothing_said(count: int) -> NDArray[np.float32]:
    """Probabilities where nothing can be said."""
    return np.full(count, np.nan, dtype=np.float32)
