"""Attribute faithfulness: does an answer show the colour, gender and season that was asked for?

Two questions. Which share of the first ten products violates what a query states? And where one
such word is swapped for another (`red` for `blue`), does the answer follow?
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from xmodal.catalog.language import is_chinese
from xmodal.catalog.lexicon import Lexicon, lexicon
from xmodal.evaluation.attributes import Facet, read_facets
from xmodal.evaluation.judge import Result
from xmodal.evaluation.perturbed import DEPTH, Searched
from xmodal.evaluation.sections import Judged, Section, Table
from xmodal.evaluation.significance import interval
from xmodal.evaluation.slices import FEWEST
from xmodal.evaluation.tasks import Task

MOST_PAIRS = 150  # of each attribute
_SWAP_HEAD = (
    *("System", "Attribute", "Pairs", "New value before", "and after", "Old value before"),
    *("and after", "Overlap", "New by chance"),
)
_LEAST_PRODUCTS = DEPTH  # that have the new value: else no answer could show it


@dataclass(frozen=True)
class Violations:
    """How often the first ten products have another value than the query states."""

    system: str
    attribute: str
    queries: int
    share: float  # mean over queries, of the products that have a value
    low: float
    high: float
    chance: float  # of an answer drawn at random


@dataclass(frozen=True)
class Swap:
    """What follows when one word of a query is swapped: shares of its first ten products."""

    system: str
    attribute: str
    pairs: int
    new_before: float  # that have the new value, before the swap
    new_after: float
    old_before: float
    old_after: float
    overlap: float  # of the two answers
    chance: float  # of the new value, in an answer drawn at random


@dataclass(frozen=True)
class Pair:
    """A query with one word swapped."""

    query: str
    text: str
    old: str
    new: str


def faithfulness(judged: Judged) -> Section | None:
    """Violations of each system, swaps of each contender; None where no query states a thing."""
    headline, task = judged.evaluation.headline, judged.evaluation.asked
    if task is None:
        return None
    searched = [Searched(one, judged.catalog) for one in judged.contenders]
    facets = read_facets(judged.catalog, searched[0].gallery.shown)
    violations = [violated(one, task, facet) for facet in facets for one in headline]
    words = lexicon(judged.catalog.glossary())
    swaps = []
    for facet in facets:
        pairs = draw_pairs(task, facet, words, judged.settings.seed)
        swaps += [swapped(one, task, facet, pairs) for one in searched if pairs]
    violations = [one for one in violations if one.queries]
    return _section(violations, swaps, task) if violations else None


def violated(result: Result, task: Task, facet: Facet) -> Violations:
    """Violations of one system, over the queries that state the facet and have a known answer."""
    shares, chances = [], []
    for query, top in result.top.items():
        named = facet.named(task.texts[query])
        share = facet.share(top, named) if named else None
        if share is not None:
            shares.append(share)
            chances.append(facet.chance(named))
    low, high = interval(shares)
    n = max(len(shares), 1)
    return Violations(
        result.system, facet.name, len(shares), sum(shares) / n, low, high, sum(chances) / n
    )


def draw_pairs(task: Task, facet: Facet, words: Lexicon, seed: int) -> list[Pair]:
    """Queries that state one value by one word, that word swapped for another value's.

    The new value is drawn among those that enough products have, in the language of the old.
    """
    concepts = [
        concept
        for concept in words.concepts
        if concept.facet == facet.name
        and (value := facet.named(concept.word.en[0]))
        and facet.having(value[0]) >= _LEAST_PRODUCTS
    ]
    names = sorted(task.texts)
    random.Random(seed).shuffle(names)
    found: list[Pair] = []
    for query in names:
        text = task.texts[query]
        mentions = [m for m in words.find(text) if m.concept.facet == facet.name]
        old = facet.named(text)
        others = [c for c in concepts if facet.named(c.word.en[0]) != old]
        if len(mentions) != 1 or len(old) != 1 or not others or len(found) == MOST_PAIRS:
            continue
        concept = random.Random(f"{seed}:{query}").choice(others)
        said = text[mentions[0].start : mentions[0].end]
        word = concept.word.zh[0] if any(map(is_chinese, said)) else concept.word.en[0]
        changed = text[: mentions[0].start] + word + text[mentions[0].end :]
        new = facet.named(changed)
        if len(new) == 1 and new != old:
            found.append(Pair(query, changed, old[0], new[0]))
    return found


def swapped(searched: Searched, task: Task, facet: Facet, pairs: Sequence[Pair]) -> Swap:
    """What one contender's first stage answers to both queries of each pair."""
    before = searched.ask({pair.query: task.texts[pair.query] for pair in pairs})
    after = searched.ask({pair.query: pair.text for pair in pairs})

    def share(run: dict[str, dict[str, float]], values: Sequence[str]) -> float:
        found = [
            facet.share(run[pair.query], (value,))
            for pair, value in zip(pairs, values, strict=True)
        ]
        known = [1 - one for one in found if one is not None]
        return sum(known) / max(len(known), 1)

    new, old = [pair.new for pair in pairs], [pair.old for pair in pairs]
    common = [len(before[p.query].keys() & after[p.query].keys()) / DEPTH for p in pairs]
    return Swap(
        searched.name,
        facet.name,
        len(pairs),
        new_before=share(before, new),
        new_after=share(after, new),
        old_before=share(before, old),
        old_after=share(after, old),
        overlap=sum(common) / len(common),
        chance=sum(1 - facet.chance((value,)) for value in new) / len(new),
    )


def _section(violations: list[Violations], swaps: list[Swap], task: Task) -> Section:
    return Section(
        name="faithfulness",
        title="Does the answer show what was asked for?",
        verdict=_verdict(violations, swaps),
        tables=(
            Table(
                ("System", "Attribute", "Queries", "Violations", "95 %, from", "to", "By chance"),
                tuple(_row(tuple(asdict(one).values())) for one in violations),
                "Share of the first ten products with another value than the query states",
            ),
            Table(
                _SWAP_HEAD,
                tuple(_row(tuple(asdict(one).values())) for one in swaps),
                "One word of the query swapped, such as red for blue: what the first ten show",
            ),
        ),
        notes=(
            f"queries of {task.part}; products without the attribute are left out of the shares",
            "values are read by their names: navy is no blue, and a brand may sound like a colour",
            "multicoloured and unisex products fit whatever is asked for",
            "the swaps ask the first stage alone",
        ),
        data={
            "violations": [asdict(one) for one in violations],
            "swaps": [asdict(one) for one in swaps],
        },
    )


def _row(values: tuple[str | int | float | None, ...]) -> tuple[str | int | float | None, ...]:
    """The values of a table's row, none where its queries (the third) are too few."""
    n = values[2]
    is_enough = isinstance(n, int) and n >= FEWEST
    return values if is_enough else (*values[:3], *[None] * (len(values) - 3))


def _verdict(violations: Sequence[Violations], swaps: Sequence[Swap]) -> str:
    system = violations[-1].system
    said = [
        f"{one.share:.0%} show another {one.attribute} (by chance {one.chance:.0%})"
        for one in violations
        if one.system == system and one.queries >= FEWEST
    ]
    verdict = f"Of the first ten products of {system}, {', '.join(said)}." if said else ""
    for one in swaps:
        if one.system == swaps[-1].system and one.pairs >= FEWEST:
            verdict += (
                f" With another {one.attribute} in the query, {one.new_after:.0%} show the new one"
                f" (before: {one.new_before:.0%})."
            )
    return verdict.strip() or "Too few queries state a colour, gender or season to say."
