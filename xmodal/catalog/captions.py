"""Captions of a product's attributes, in English and, by a glossary, in Chinese.

A shopper types `women blue jeans` or 女士蓝色牛仔裤 where the title says neither. A caption
states one to four attributes, the kind of product last as both languages do, and knows which
facts it states: whatever else shows them all is a right answer too.
"""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import CatalogError
from xmodal.storage import Place, filesystem

PER_PRODUCT = {"en": 2, "zh": 3}
MOST_FACTS = 4
_MOST_CHARS = 40
_MOST_VALUES = 1000
_LEAST_REPEATS = 4  # products per value on average: a serial number describes nothing
_KIND_NAMES = ("type", "kind", "category", "class")
_SPACED_SHARE = 0.4
_KIND_LAST_SHARE = 0.8
_KIND_SHARE = 0.85

Glossary = Mapping[str, Mapping[str, str]]  # attribute to value to Chinese term


@dataclass(frozen=True)
class Caption:
    """A line of text, and the facts (`key=value`) that it states."""

    text: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """The attributes worth saying, and which of them names the kind of product."""

    attributes: tuple[str, ...]
    kind: str | None


def describe(products: Iterable[Mapping[str, str]]) -> Vocabulary:
    """Which attributes of `products` are worth saying: few, short and repeated values.

    The kind is the one with the most values, a name such as `article_type` winning first.
    """
    values: dict[str, Counter[str]] = defaultdict(Counter)
    seen: Counter[str] = Counter()
    for attributes in products:
        for name, value in attributes.items():
            seen[name] += 1
            if len(values[name]) <= _MOST_VALUES:
                values[name][value] += 1
    good = [name for name, counts in values.items() if _is_worth_saying(counts, seen[name])]
    kinds = [name for name in good if name.split("_")[-1].lower() in _KIND_NAMES]
    kind = max(kinds or good, key=lambda name: (len(values[name]), name), default=None)
    return Vocabulary(tuple(sorted(good)), kind)


def english(attributes: Mapping[str, str], words: Vocabulary, rng: random.Random) -> list[Caption]:
    """Captions such as `Women Blue Jeans`; fewer where the product says little."""
    terms = {name: attributes[name] for name in words.attributes if attributes.get(name)}
    return _captions(terms, attributes, words.kind, rng, ("en", " "))


def chinese(
    attributes: Mapping[str, str], glossary: Glossary, kind: str | None, rng: random.Random
) -> list[Caption]:
    """Captions such as 女士蓝色牛仔裤 or 蓝色 牛仔裤, of the values that the glossary knows."""
    terms = {
        name: values[attributes[name]]
        for name, values in glossary.items()
        if attributes.get(name) in values
    }
    separator = " " if rng.random() < _SPACED_SHARE else ""
    return _captions(terms, attributes, kind, rng, ("zh", separator))


def read_glossary(place: Path | Place) -> Glossary:
    """The glossary `{attribute: {value: Chinese term}}` of a JSON file.

    Raises:
        CatalogError: it is not of that form.
    """
    system, path = place if isinstance(place, tuple) else filesystem(place)
    try:
        with system.open_input_stream(path) as file:
            content = json.loads(file.read())
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CatalogError(f"{path}: cannot be read as JSON ({reason})") from error
    is_good = isinstance(content, dict) and all(
        isinstance(values, dict) and all(isinstance(term, str) and term for term in values.values())
        for values in content.values()
    )
    if not is_good:
        raise CatalogError(f"{path}: must be {{attribute: {{value: Chinese term}}}}")
    glossary: Glossary = content
    return glossary


def spelled_as(glossary: Glossary, names: Collection[str]) -> Glossary:
    """The glossary with its attributes written as the shop writes them in `names`."""
    written = {name.casefold(): name for name in sorted(names)}
    return {
        name if name in names else written.get(name.casefold(), name): values
        for name, values in glossary.items()
    }


def _captions(
    terms: Mapping[str, str],
    attributes: Mapping[str, str],
    kind: str | None,
    rng: random.Random,
    form: tuple[str, str],
) -> list[Caption]:
    lang, separator = form
    found: dict[str, Caption] = {}
    for _ in range(2 * PER_PRODUCT[lang]):  # a draw may repeat an earlier caption
        if not terms or len(found) == PER_PRODUCT[lang]:
            break
        names = _draw(list(terms), kind, rng)
        text = separator.join(terms[name] for name in names)
        facts = tuple(sorted(f"{name}={attributes[name]}" for name in names))
        found.setdefault(text, Caption(text, facts))
        if lang == "zh":
            separator = "" if separator else " "
    return list(found.values())


def _draw(names: Sequence[str], kind: str | None, rng: random.Random) -> list[str]:
    """One to four of the attributes in a natural order: mostly with the kind, mostly last."""
    others = [name for name in names if name != kind]
    with_kind = kind in names and (not others or rng.random() < _KIND_SHARE)
    most = min(MOST_FACTS - with_kind, len(others))
    chosen = rng.sample(others, rng.randint(0 if with_kind else 1, most))
    if with_kind and kind is not None:
        chosen.append(kind)
        if rng.random() > _KIND_LAST_SHARE:
            rng.shuffle(chosen)
    return chosen


def _is_worth_saying(counts: Counter[str], n_products: int) -> bool:
    if not 2 <= len(counts) <= _MOST_VALUES or n_products < _LEAST_REPEATS * len(counts):
        return False
    is_short = all(len(value) <= _MOST_CHARS for value in counts)
    return is_short and any(char.isalpha() for value in counts for char in value)
