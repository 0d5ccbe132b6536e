"""Why a hit stands where it does, as an answer shows it."""

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from serve.explainer import Read
from serve.schemas import Hit, HitReasons, SearchAnswer, WordWeight
from serve.wishes import BoostWish
from xmodal.errors import Overloaded, UnknownProduct
from xmodal.search import query

if TYPE_CHECKING:
    from serve.service import Shelf

SKIPPED = "words_skipped"
EXPLAINED = 3  # hits whose words are weighed: each takes a forward of its pictures


def shown_hit(hit: query.Hit) -> Hit:
    """A hit as it goes over the wire; nothing is validated, for it is ours."""
    values = {name: value for name, value in vars(hit).items() if name != "why"}
    return Hit.model_construct(**values, explanation=_reasons(hit.why))


async def add_words(answer: SearchAnswer, text: str, shelf: "Shelf", deadline_s: float) -> None:
    """Weigh the words of `text` for the first hits; where time does not allow, say so."""
    first = [hit for hit in answer.hits[:EXPLAINED] if hit.explanation is not None]
    reads = [_reader(shelf, hit.product_id) for hit in first]
    known = [read for read in reads if read is not None]
    try:
        async with asyncio.timeout(max(0.0, deadline_s - time.time())):
            found = iter(await shelf.explainer.words(text, known))
    except (TimeoutError, Overloaded):
        answer.degraded.append(SKIPPED)
        return
    for hit, read in zip(first, reads, strict=True):
        words = next(found) if read is not None else None
        if hit.explanation is not None and words is not None:
            hit.explanation.words = [WordWeight(**asdict(word)) for word in words]


def _reader(shelf: "Shelf", product_id: str) -> Read | None:
    """What reads a product's pictures; None where it was taken out a moment ago."""
    try:
        return shelf.pictures_of(product_id)[2]
    except UnknownProduct:
        return None


def _reasons(why: query.Why | None) -> HitReasons | None:
    if why is None:
        return None
    return HitReasons(
        first_stage=why.first_stage,
        rerank=why.rerank,
        boosts=[BoostWish(**asdict(boost)) for boost in why.boosts],
        decay=why.decay,
        words=None,
    )
