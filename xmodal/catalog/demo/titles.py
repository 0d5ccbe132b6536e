"""Titles and queries: what a shop writes on a product, and what a shopper types for it.

Both say the same facts in another grammar: a title names a brand and praises, a query is bare.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache
from random import Random
from typing import Literal

from xmodal.catalog.demo.design import Design
from xmodal.catalog.demo.words import words
from xmodal.catalog.lexicon import Word

Lang = Literal["en", "zh"]

_PRAISE = {
    "en": (
        "classic",
        "everyday",
        "new season",
        "essential",
        "limited edition",
        "handmade",
        "lightweight",
        "vintage",
    ),
    "zh": ("新款", "经典", "百搭", "时尚", "轻便", "复古", "手工", "简约"),
}
_FIRST = ("type", "colour", "pattern", "second_colour", "material", "brand")


def write_title(design: Design, lang: Lang, rng: Random) -> str:
    """A shop's title: most of the facts, a brand, perhaps some praise."""
    chances = {
        "type": 1.0,
        "colour": 0.97,
        "pattern": 0.92,
        "second_colour": 0.6,
        "material": 0.6,
        "brand": 0.8,
    }
    stated = [name for name in design.attributes() if rng.random() < chances.get(name, 0.6)]
    praise = rng.choice(_PRAISE[lang]) if rng.random() < 0.35 else ""
    if lang == "zh":
        return _chinese(design, stated, rng, praise)
    title = _english(design, stated, rng, praise)
    return title if rng.random() < 0.15 else _capitals(title)


def write_query(design: Design, stated: Collection[str], lang: Lang, rng: Random) -> str:
    """A shopper's words for the `stated` attributes, in small letters."""
    if lang == "zh":
        return _chinese(design, stated, rng, "")
    return _english(design, stated, rng, "").lower().replace(",", "")


def _english(design: Design, stated: Collection[str], rng: Random, praise: str) -> str:
    said = _said(design, stated, "en", rng)
    details = [said[name] for name in said if name not in _FIRST]
    before = [word for word in details if not word.startswith("with ")]
    after = [word[5:] for word in details if word.startswith("with ")]
    rng.shuffle(before)
    looks, tail = _looks(said, rng)
    brand, noun, cloth = said.get("brand", ""), said["type"], said.get("material", "")
    after += [tail] if tail else []
    ending = "with " + " and ".join(after) if after else ""
    form = rng.randrange(4)
    if form == 0:
        pieces = [brand, praise, *before, *looks, cloth, noun, ending]
    elif form == 1:
        pieces = [praise, *looks, *before, cloth, noun, ending, f"by {brand}" if brand else ""]
    elif form == 2:
        inside = " ".join([*looks, cloth]).strip()
        pieces = [brand, *before, noun, f"in {inside}" if inside else "", ending]
    else:
        pieces = [
            praise,
            cloth,
            *looks,
            *before,
            noun,
            ending + ("," if ending and brand else ""),
            brand,
        ]
    return " ".join(piece for piece in pieces if piece)


def _looks(said: dict[str, str], rng: Random) -> tuple[list[str], str]:
    """Colour and pattern as words before the noun, and what is left to say after it."""
    colour, pattern, second = (
        said.get(name, "") for name in ("colour", "pattern", "second_colour")
    )
    if not second:
        return [pattern, colour] if rng.random() < 0.5 else [colour, pattern], ""
    if not pattern or rng.random() < 0.3:
        return [colour], f"{second} {pattern or 'pattern'}"
    return [f"{colour} and {second}".removeprefix(" and "), pattern], ""


def _chinese(design: Design, stated: Collection[str], rng: Random, praise: str) -> str:
    said = _said(design, stated, "zh", rng)
    details = [said[name] for name in said if name not in _FIRST]
    rng.shuffle(details)
    second = said.get("second_colour", "")
    if second and "colour" in said:
        second = rng.choice(("配", "拼", "和")) + second
    looks = [said.get("colour", "") + second, said.get("pattern", "")]
    if rng.random() < 0.3:
        looks.reverse()
    brand, noun, cloth = said.get("brand", ""), said["type"], said.get("material", "")
    form = rng.randrange(3)
    if form == 0:
        pieces = [brand, praise, *looks, cloth, *details, noun]
    elif form == 1:
        pieces = [praise, *details, *looks, cloth, noun, brand]
    else:
        pieces = [brand, *looks, noun, cloth, *details, praise]
    glue = rng.choice(("", "", " "))
    return glue.join(piece for piece in pieces if piece)


def _said(design: Design, stated: Collection[str], lang: Lang, rng: Random) -> dict[str, str]:
    """Attribute -> the word chosen for its value; the usual word half of the time."""
    out = {}
    for name, value in design.attributes().items():
        if name in stated:
            word = _all_words()[name][value]
            choices = word.en if lang == "en" else word.zh
            out[name] = choices[0] if rng.random() < 0.5 else rng.choice(choices)
    return out


def _capitals(title: str) -> str:
    small = {"with", "and", "in", "by", "a", "an"}
    return " ".join(w if w in small else w[:1].upper() + w[1:] for w in title.split())


@lru_cache(maxsize=1)
def _all_words() -> Mapping[str, Mapping[str, Word]]:
    return words()
