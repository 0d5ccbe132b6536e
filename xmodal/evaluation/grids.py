"""The report's picture grids: a query, what it sought, and the two systems' answers to it."""

from collections.abc import Mapping, Sequence
from html import escape

from xmodal.catalog.store import Catalog
from xmodal.evaluation.examples import Picked, pick, thumbnails
from xmodal.evaluation.judge import Evaluation

_COUNT = 4  # queries of each sort
_SORTS = {
    "wins": "Found now (largest gains)",
    "losses": "Lost now (largest losses)",
    "missed": "Still missed",
}


def grids(evaluation: Evaluation, catalog: Catalog) -> str:
    """Wins, losses and misses of the last system beside the first; nothing without queries."""
    results = evaluation.headline
    if not results:
        return ""
    first, last = results[0], results[-1]
    found = pick(evaluation, first, last, _COUNT)
    every = [*found.wins, *found.losses, *found.missed]
    shown = {p for one in every for p in (one.relevant, *one.before, *one.after)}
    pictures = thumbnails(catalog, shown)
    return "".join(
        _sort(title, getattr(found, name), pictures, (first.system, last.system))
        for name, title in _SORTS.items()
    )


def _sort(
    title: str, some: Sequence[Picked], pictures: Mapping[str, str], systems: tuple[str, str]
) -> str:
    if not some:
        return f'<h3>{title}</h3><p class="note">No query.</p>'
    queries = "".join(_query(one, pictures, systems) for one in some)
    return f'<h3>{title}</h3><div class="queries">{queries}</div>'


def _query(one: Picked, pictures: Mapping[str, str], systems: tuple[str, str]) -> str:
    fresh = len(set(one.after) - set(one.before))
    rows = [(systems[0], one.before)] * (systems[0] != systems[1]) + [(systems[1], one.after)]
    answers = "".join(
        f'<div class="answer"><span>{escape(system)}</span><div class="strip">'
        + "".join(_figure(p, pictures, one.grades.get(p, 0) > 0) for p in products)
        + "</div></div>"
        for system, products in rows
    )
    return (
        f'<div class="card query"><h4>{escape(one.text)}</h4>'
        f"<p>first right product: {_rank(one.rank_before)} → {_rank(one.rank_after)}; "
        f"{fresh} of the first {len(one.after)} are new</p>"
        f'<div class="seek"><div class="wanted"><span>sought</span>'
        f"{_figure(one.relevant, pictures, False)}</div><div>{answers}</div></div></div>"
    )


def _rank(rank: float) -> str:
    return f"place {rank:.0f}" if rank <= 100 else "not in the first 100"


def _figure(product: str, pictures: Mapping[str, str], is_hit: bool) -> str:
    name = escape(product, quote=True)
    kind = "hit" if is_hit else ""
    picture = (
        f'<img src="{pictures[product]}" alt="{name}" loading="lazy">'
        if product in pictures
        else '<div class="none">no picture</div>'
    )
    return (
        f'<figure class="{kind}" title="{name}">{picture}<figcaption>{name}</figcaption></figure>'
    )
