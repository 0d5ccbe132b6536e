"""Judged queries of a held-out part: what shoppers ask, and every product that answers it."""

from collections.abc import Sequence
from random import Random

from xmodal.catalog.demo.assortment import Offer, Split
from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.titles import Lang, write_query

_ALWAYS = ("type", "colour", "pattern")
_MOST_RELEVANT = 4

Judgements = dict[str, dict[str, int]]


def judged_queries(offers: Sequence[Offer], split: Split, seed: int) -> Judgements:
    """Query text -> product_id -> 1, for the products of `split`, one query a language each.

    A product is relevant if it has all that the query states. A query that a product of
    another part answers too, or more than four products, is left out.
    """
    rng = Random(f"queries {split} {seed}")
    facts = {offer.product_id: offer.design.attributes() for offer in offers}
    own = {offer.product_id for offer in offers if offer.split == split}
    langs: tuple[Lang, Lang] = ("en", "zh")
    out: Judgements = {}
    for offer in offers:
        if offer.split != split:
            continue
        for lang in langs:
            stated = _stated(offer.design, rng)
            found = _matches(offer.design, stated, facts)
            if len(found) <= _MOST_RELEVANT and set(found) <= own:
                out.setdefault(
                    write_query(offer.design, stated, lang, rng), dict.fromkeys(found, 1)
                )
    return out


def _stated(design: Design, rng: Random) -> list[str]:
    """What a shopper cares to say: always the first look, then one to three details."""
    others = [name for name in design.attributes() if name not in _ALWAYS]
    return [*_ALWAYS, *rng.sample(others, k=min(len(others), rng.choice((1, 2, 2, 3))))]


def _matches(design: Design, stated: Sequence[str], facts: dict[str, dict[str, str]]) -> list[str]:
    wanted = design.attributes()
    return [
        product_id
        for product_id, has in facts.items()
        if all(has.get(name) == wanted[name] for name in stated)
    ]
