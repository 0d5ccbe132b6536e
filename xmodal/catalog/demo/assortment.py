"""Which products the shop has, and in which part of the catalogue each lies.

Held-out looks are unseen: a test product's (type, colour) and a val or dev product's
(type, colour, pattern) never occur in another part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.emblems import BRANDS
from xmodal.catalog.demo.kinds import KINDS
from xmodal.catalog.demo.palette import NEUTRALS, PALETTE, contrasts

Split = Literal["train", "val", "dev", "test"]
HELD_OUT: tuple[Split, ...] = ("val", "dev", "test")

_TEST_SHARE = 0.1
_DEV_SHARE = 0.09
_VAL_SHARE = 0.07


@dataclass(frozen=True)
class Offer:
    """A product on offer: its design, its part, how many pictures it has, what it lacks."""

    product_id: str
    design: Design
    split: Split
    pictures: int
    titled: bool
    lang: Literal["en", "zh"]


def assortment(products: int, seed: int) -> list[Offer]:
    """The shop's products in catalogue order."""
    rng = Random(f"assortment {seed}")
    return [_offer(number, seed, rng) for number in range(products)]


def split_of(design: Design, seed: int) -> Split:
    """The part that every product of these looks belongs to."""
    if Random(f"test {seed} {design.kind} {design.colour}").random() < _TEST_SHARE:
        return "test"
    chance = Random(f"{seed} {design.kind} {design.colour} {design.pattern}").random()
    if chance < _DEV_SHARE:
        return "dev"
    return "val" if chance < _DEV_SHARE + _VAL_SHARE else "train"


def _offer(number: int, seed: int, rng: Random) -> Offer:
    design = _design(rng)
    split = split_of(design, seed)
    odd = rng.random()
    # Oddities that every shop has; held-out products keep a picture, so that they can be found.
    pictures = 0 if odd < 0.02 and split == "train" else rng.choices((1, 2, 3), (86, 10, 4))[0]
    titled = not (0.02 <= odd < 0.06) or pictures == 0
    lang: Literal["en", "zh"] = "zh" if rng.random() < 0.42 else "en"
    return Offer(f"demo-{number:05d}", design, split, pictures, titled, lang)


def _design(rng: Random) -> Design:
    name = rng.choice(tuple(KINDS))
    kind = KINDS[name]
    colour = rng.choice(tuple(PALETTE))
    pattern = "plain" if rng.random() < 0.22 else rng.choice(kind.patterns)
    second = "" if pattern == "plain" else _second(colour, rng)
    parts = tuple((part, rng.choice(values)) for part, values in kind.parts.items())
    return Design(
        name, colour, pattern, second, rng.choice(kind.materials), rng.choice(BRANDS), parts
    )


def _second(colour: str, rng: Random) -> str:
    pool: Sequence[str] = NEUTRALS if rng.random() < 0.4 else tuple(PALETTE)
    fitting = [name for name in pool if contrasts(colour, name)]
    return rng.choice(fitting or ["white" if colour != "white" else "black"])
