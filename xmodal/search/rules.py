"""A merchandiser's rules as data: pin, boost, bury, hide, synonyms. Pure: no file, no clock.

    rules.json -> read_rules -> Rules.at(now, text) -> Ruling, which a Query carries
    Ruling: text rewritten -> candidates hidden -> scores moved -> products pinned

The form of the file is in docs/rules.md. Shapes: K candidates.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from xmodal.catalog.language import fold, is_chinese
from xmodal.errors import RulesError

Floats = NDArray[np.float32]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Some = Annotated[tuple[Short, ...], Field(min_length=1, max_length=1000)]
Pinned = Annotated[tuple[Short, ...], Field(min_length=1, max_length=20)]
Weight = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class _Form(BaseModel):
    """Frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Form):
    """Which queries a rule is for: one of the three."""

    exact: Short | None = None
    """The query is this text, case and surplus space aside."""
    contains: Short | None = None
    """The query holds these words (whole words, but for Chinese)."""
    all: Literal[True] | None = None
    """Every query, pictures too."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(one is not None for one in (self.exact, self.contains, self.all)) != 1:
            raise ValueError("give one of exact, contains, all")
        return self

    def holds(self, text: str) -> bool:
        """Whether a query of that text ("" for a picture) is meant."""
        if self.exact is not None:
            return fold(text) == fold(self.exact)
        return self.contains is None or bool(_pattern(fold(self.contains)).search(fold(text)))


class Within(_Form):
    """A range of a number: of `price`, or of an attribute that is written as one."""

    gte: float | None = None
    lte: float | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.gte is None and self.lte is None:
            raise ValueError("give gte, lte or both")
        return self

    def holds(self, number: float | None) -> bool:
        """Whether it lies within; None never does."""
        if number is None or np.isnan(number):
            return False
        return (self.gte is None or number >= self.gte) and (self.lte is None or number <= self.lte)


class _Rule(_Form):
    """What all rules have."""

    id: Short
    query: Asked = Asked(all=True)
    start: AwareDatetime | None = None
    """It holds from here on."""
    end: AwareDatetime | None = None
    """And until here, which is not included."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start must be before end")
        return self

    def is_on(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)


class Pin(_Rule):
    """These products take the places from `position` on."""

    action: Literal["pin"]
    products: Pinned
    position: int = Field(default=1, ge=1, le=100)


class _Chosen(_Rule):
    """A rule for products by id, by attributes, or both."""

    products: Some | None = None
    where: Annotated[dict[Short, Short | Some | Within], Field(min_length=1)] | None = None
    """Attribute to its value, several of which any will do, or a range."""

    @model_validator(mode="after")
    def _chooses(self) -> Self:
        if self.products is None and self.where is None:
            raise ValueError("give products, where or both")
        return self

    def means(self, product: "Shown") -> bool:
        """Whether the product is one of those."""
        if self.products is not None and product.product_id not in self.products:
            return False
        return all(_has(product, name, want) for name, want in (self.where or {}).items())


class Boost(_Chosen):
    """These products move up."""

    action: Literal["boost"]
    weight: Weight
    """1 lifts the last of the candidates to the score of the first."""


class Bury(_Chosen):
    """These products move down."""

    action: Literal["bury"]
    weight: Weight


class Hide(_Chosen):
    """These products are not shown."""

    action: Literal["hide"]


class Synonyms(_Rule):
    """In a query, any of these words is read as that one."""

    action: Literal["synonyms"]
    words: Some
    to: Short


Rule = Annotated[Pin | Boost | Bury | Hide | Synonyms, Field(discriminator="action")]


@dataclass(frozen=True)
class Shown:
    """What rules see of a product."""

    product_id: str
    attributes: Mapping[str, str]
    price: float | None = None


@dataclass(frozen=True)
class Ruling:
    """The rules that hold for one query at one time, in the order of the file."""

    synonyms: tuple[Synonyms, ...] = ()
    pins: tuple[Pin, ...] = ()
    moves: tuple[Boost | Bury, ...] = ()
    hides: tuple[Hide, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.synonyms or self.pins or self.moves or self.hides)

    @property
    def reorders(self) -> bool:
        """Whether candidates may stand in another order than that of their scores."""
        return bool(self.pins or self.moves)

    @property
    def pinned(self) -> tuple[str, ...]:
        """Ids of the pinned products, in the order of their rules, each once."""
        return tuple(dict.fromkeys(one for pin in self.pins for one in pin.products))

    def hidden(self, product: Shown) -> bool:
        """Whether the product is not to be shown, whatever else is said of it."""
        return any(rule.means(product) for rule in self.hides)

    def moved(self, products: Sequence[Shown], score_K: Floats) -> Floats:
        """Scores (K,) to order by: weights are shares of the candidates' spread."""
        if not self.moves or not len(score_K):
            return score_K
        spread = max(float(score_K.max() - score_K.min()), 1e-6)
        gain_K = np.zeros(len(score_K), np.float64)
        for rule in self.moves:
            gain = rule.weight * spread * (1 if rule.action == "boost" else -1)
            gain_K += [gain * rule.means(product) for product in products]
        return (score_K + gain_K).astype(np.float32)

    def placed(self, product_ids: Sequence[str], order: Sequence[int]) -> list[int]:
        """`order` (places of `product_ids`) with the pinned products where they belong.

        Of two pins for one place the first rule has it, the other takes the next.
        """
        at = {product_ids[place]: place for place in order}
        taken: dict[int, int] = {}
        for pin in self.pins:
            position = pin.position - 1
            for product_id in pin.products:
                place = at.pop(product_id, None)
                if place is not None:
                    while position in taken:
                        position += 1
                    taken[position] = place
        free = iter([place for place in order if place not in set(taken.values())])
        found: list[int] = []
        while len(found) < len(order):
            place = taken.pop(len(found), None)
            place = next(free, None) if place is None else place
            # A place beyond the end: those that are left close up.
            found.append(taken.pop(min(taken)) if place is None else place)
        return found

    def named(self, text: str, products: Sequence[Shown]) -> list[str]:
        """Ids of the rules that had to do with the text or with these candidates; all that hide."""
        ids = {product.product_id for product in products}
        found = [rule.id for rule in self.synonyms if _rewritten(rule, text) != text]
        found += [rule.id for rule in self.pins if ids & set(rule.products)]
        moves = [rule for rule in self.moves if any(map(rule.means, products))]
        return found + [rule.id for rule in (*moves, *self.hides)]


@dataclass(frozen=True)
class Rules:
    """All rules of a file."""

    rules: tuple[Rule, ...] = field(default=())

    def at(self, now: datetime, text: str) -> Ruling:
        """The rules that hold at `now` for a query of that text, "" for one without.

        A condition is looked for in the text as it was typed and as synonyms leave it.
        """
        on = [rule for rule in self.rules if rule.is_on(now)]
        synonyms = tuple(
            rule for rule in on if isinstance(rule, Synonyms) and rule.query.holds(text)
        )
        texts = (text, rewritten(text, synonyms))
        meant = [rule for rule in on if any(map(rule.query.holds, texts))]
        return Ruling(
            synonyms,
            tuple(rule for rule in meant if isinstance(rule, Pin)),
            tuple(rule for rule in meant if isinstance(rule, Boost | Bury)),
            tuple(rule for rule in meant if isinstance(rule, Hide)),
        )


def rewritten(text: str, synonyms: Sequence[Synonyms]) -> str:
    """The text with the words of each rule, in their order, put in its own words."""
    for rule in synonyms:
        text = _rewritten(rule, text)
    return text


class _File(_Form):
    rules: tuple[Rule, ...]


def read_rules(text: str) -> Rules:
    """The rules of a file's text. Raises RulesError naming the rule and its field."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RulesError(f"rules.json is not JSON: {error}") from error
    try:
        rules = _File.model_validate(document).rules
    except ValidationError as error:
        raise RulesError(_first_fault(error, document)) from error
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            raise RulesError(f"rules.json: two rules are called {rule.id!r}; ids must differ")
        seen.add(rule.id)
    return Rules(rules)


def _first_fault(error: ValidationError, document: Any) -> str:
    """One line: which rule, which field, what is wrong with it."""
    first = error.errors()[0]
    place, message = list(first["loc"]), str(first["msg"]).removeprefix("Value error, ")
    if len(place) < 2 or place[0] != "rules":
        return 'rules.json: must be {"rules": [...]}, and nothing beside it'
    number = int(place[1])
    given = document["rules"][number]
    name = given.get("id") if isinstance(given, dict) else None
    rule = f"rule {name!r}" if isinstance(name, str) else f"rule number {number + 1}"
    steps = [str(step) for step in place[3:]]  # place[2] is the action
    if str(first["type"]).startswith("union_tag"):
        steps, message = ["action"], f"must be one of {', '.join(_ACTIONS)}"
    where = f", field {'.'.join(steps)!r}" if steps else ""
    return f"rules.json, {rule}{where}: {message}"


_ACTIONS = ("pin", "boost", "bury", "hide", "synonyms")


def _has(product: Shown, name: str, want: str | tuple[str, ...] | Within) -> bool:
    if isinstance(want, Within):
        number = product.price if name == "price" else _number(product.attributes.get(name, ""))
        return want.holds(number)
    value = product.attributes.get(name)
    return value == want if isinstance(want, str) else value in want


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _rewritten(rule: Synonyms, text: str) -> str:
    found = text
    for word in sorted(rule.words, key=len, reverse=True):
        found = _pattern(word).sub(lambda _: rule.to, found)
    return found


@lru_cache(maxsize=4096)
def _pattern(words: str) -> re.Pattern[str]:
    """Words as a whole, in any case, however they are spaced; Chinese has no gaps to look for."""
    spaced = r"\s+".join(re.escape(word) for word in words.split())
    letter = r"[^\W\u3400-\u9fff]"  # or digit, but no Han character: 红色sneakers has two words
    start = "" if is_chinese(words[0]) else f"(?<!{letter})"
    stop = "" if is_chinese(words[-1]) else f"(?!{letter})"
    return re.compile(f"{start}{spaced}{stop}", re.IGNORECASE)
