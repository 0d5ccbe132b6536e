"""Exposure: does a group of products get the places that its relevance earns?

A first page gives its places attention of 1 / log2(1 + rank), and relevance spreads a query's
attention over what is right for it. A group that is shown less than it is right for is starved.
Source: Singh and Joachims, KDD 2018 (disparate treatment), with the means over queries.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xmodal.catalog.terms import GENDERS, stated
from xmodal.evaluation.drawing import Whisker, axis_of, whiskers
from xmodal.evaluation.judge import ALPHA, Result
from xmodal.evaluation.sections import Judged, Picture, Row, Section, Table
from xmodal.evaluation.significance import Comparison, compare, holm
from xmodal.retrieval.metrics import Qrels

_BRANDS = frozenset(
    (
        "brand",
        "brands",
        "brandname",
        "brand_name",
        "manufacturer",
        "label",
        "marke",
        "marque",
        "品牌",
        "牌子",
    )
)
_NOTE = (
    "exposure: share of the attention of the first ten places; relevance: share of what is right "
    "for the queries; below 0 the group is shown less than it is right for"
)
_MOST = 8  # groups shown; the rest is one
_OTHERS, _UNKNOWN = "(all others)", "(unknown)"
_PRICED = 0.5  # share of products with a price, below which there are no bands
_GENDERED = 0.8  # share of an attribute's products whose value states a gender

Shares = dict[str, dict[str, float]]  # group to query to share


@dataclass(frozen=True)
class _Grouping:
    name: str
    group_of: Mapping[str, str]  # product id to group


def exposure(judged: Judged) -> Section | None:
    """Exposure less relevance of each brand, price band and gender, for each system.

    The p-values are corrected (Holm) for all groups and systems of the section.
    """
    results = judged.evaluation.headline
    groupings = _groupings(judged.catalog.rows(["product_id", "attributes", "price"]))
    if not results or not groupings:
        return None
    qrels = judged.evaluation.tasks[f"{results[0].part} text-image"].qrels
    gaps = {
        (one.name, system.system, group): gap
        for one in groupings
        for system in results
        for group, gap in _gaps(one.group_of, system, qrels, judged).items()
    }
    corrected = dict(zip(gaps, holm([gap.p_value for gap in gaps.values()]), strict=True))
    systems = [one.system for one in results]
    return Section(
        "exposure",
        f"Who gets the first page, part {results[0].part}",
        _verdict(gaps, corrected, systems[-1]),
        tuple(_table(one.name, gaps, corrected, systems) for one in groupings),
        tuple(_drawing(one.name, gaps) for one in groupings),
        (_NOTE,),
        data={
            "gaps": [
                {
                    "by": key[0],
                    "system": key[1],
                    "group": key[2],
                    "exposure": gap.ours,
                    "relevance": gap.theirs,
                    **vars(gap),
                    "corrected": corrected[key],
                }
                for key, gap in gaps.items()
            ]
        },
    )


def exposure_shares(top: Mapping[str, Sequence[str]], group_of: Mapping[str, str]) -> Shares:
    """Each group's share of the attention of each query's first page.

    >>> exposure_shares({"q": ["a", "b"]}, {"a": "x", "b": "y"})["x"]["q"]  # 1 / (1 + 1/log2(3))
    0.6131...
    """
    found: Shares = defaultdict(dict)
    for query, page in top.items():
        weights = [1 / math.log2(1 + rank) for rank in range(1, len(page) + 1)]
        _add(found, query, zip(page, weights, strict=True), group_of)
    return found


def relevance_shares(qrels: Qrels, group_of: Mapping[str, str]) -> Shares:
    """Each group's share of what is right for each query, by grade."""
    found: Shares = defaultdict(dict)
    for query, grades in qrels.items():
        _add(found, query, ((p, float(grade)) for p, grade in grades.items()), group_of)
    return found


def _add(
    found: Shares, query: str, weights: Iterable[tuple[str, float]], group_of: Mapping[str, str]
) -> None:
    each = list(weights)
    total = sum(weight for _, weight in each)
    for product, weight in each:
        if total and weight:
            group = group_of.get(product, _UNKNOWN)
            found[group][query] = found[group].get(query, 0.0) + weight / total


def _gaps(
    group_of: Mapping[str, str], result: Result, qrels: Qrels, judged: Judged
) -> dict[str, Comparison]:
    """Exposure (ours) against relevance (theirs) of each group, over all queries."""
    shown = exposure_shares({query: result.top.get(query, []) for query in qrels}, group_of)
    right = relevance_shares(qrels, group_of)
    settings = judged.settings
    return {
        group: compare(
            {query: shown.get(group, {}).get(query, 0.0) for query in qrels},
            {query: right.get(group, {}).get(query, 0.0) for query in qrels},
            resamples=settings.evaluation.bootstrap,
            seed=settings.seed,
        )
        for group in dict.fromkeys([*_largest(group_of), _OTHERS, _UNKNOWN])
        if group in shown or group in right
    }


def _groupings(rows: Iterable[Mapping[str, object]]) -> list[_Grouping]:
    values: dict[str, dict[str, str]] = defaultdict(dict)
    prices: dict[str, float] = {}
    products = 0
    for row in rows:
        products += 1
        product = str(row["product_id"])
        for name, value in dict(row["attributes"] or {}).items():  # type: ignore[call-overload]
            values[name][product] = value
        if isinstance(row["price"], float):
            prices[product] = row["price"]
    found = [_Grouping(f"brand ({n})", _kept(v)) for n, v in values.items() if _is_brand(n)]
    if len(prices) >= _PRICED * products and len(set(prices.values())) >= 3:
        found.append(_Grouping("price band", _bands(prices)))
    found += [_Grouping(f"gender ({n})", _kept(v)) for n, v in values.items() if _is_gender(v)]
    return found


def _is_brand(name: str) -> bool:
    return name.casefold().replace(" ", "_") in _BRANDS


def _is_gender(value_of: Mapping[str, str]) -> bool:
    counts = Counter(value_of.values())
    said = sum(n for value, n in counts.items() if len(value) < 20 and stated(value, GENDERS))
    return len(counts) > 1 and said >= _GENDERED * len(value_of)


def _kept(value_of: Mapping[str, str]) -> dict[str, str]:
    largest = set(_largest(value_of))
    return {p: value if value in largest else _OTHERS for p, value in value_of.items()}


def _largest(group_of: Mapping[str, str]) -> list[str]:
    counts = Counter(group for group in group_of.values() if group != _OTHERS)
    return sorted(counts, key=lambda group: (-counts[group], group))[:_MOST]


def _bands(prices: Mapping[str, float]) -> dict[str, str]:
    """Thirds of the products by price."""
    low, high = np.quantile(list(prices.values()), (1 / 3, 2 / 3))
    names = (f"up to {low:g}", f"{low:g} to {high:g}", f"above {high:g}")
    return {p: names[int(price > low) + int(price > high)] for p, price in prices.items()}


Key = tuple[str, str, str]  # grouping, system, group


def _verdict(gaps: Mapping[Key, Comparison], corrected: Mapping[Key, float], system: str) -> str:
    sure = [key for key in gaps if key[1] == system and corrected[key] < ALPHA]
    if not sure:
        return f"{system} shows no group more or less than it is right for, beyond chance"
    least = min(sure, key=lambda key: gaps[key].difference)
    most = max(sure, key=lambda key: gaps[key].difference)
    parts = []
    for key, word in ((least, "less"), (most, "more")):
        gap = gaps[key]
        if (gap.difference < 0) == (word == "less"):
            parts.append(
                f"{key[0]} “{key[2]}” {word} than it is right for ({gap.ours:.1%} of the attention,"
                f" {gap.theirs:.1%} of what is right)"
            )
    return f"{system} shows " + " and ".join(parts)


def _table(
    name: str,
    gaps: Mapping[Key, Comparison],
    corrected: Mapping[Key, float],
    systems: Sequence[str],
) -> Table:
    last = systems[-1]
    groups = [key[2] for key in gaps if key[:2] == (name, last)]
    rows: list[Row] = []
    for group in groups:
        gap, p = gaps[name, last, group], corrected[name, last, group]
        shown = [
            gaps[name, one, group].ours if (name, one, group) in gaps else 0.0 for one in systems
        ]
        ratio = f"{gap.ours / gap.theirs:.2f}" if gap.theirs else "-"
        rows.append((group, gap.theirs, *shown, ratio, f"{gap.low:+.4f} to {gap.high:+.4f}", p))
    head = (
        "",
        "Relevance",
        *(f"Exposure {one}" for one in systems),
        "Ratio",
        f"95 % interval of exposure less relevance, {last}",
        "p",
    )
    return Table(head, tuple(rows), f"By {name}")


def _drawing(name: str, gaps: Mapping[Key, Comparison]) -> Picture:
    dots = [
        Whisker(key[2], key[1], gap.difference, gap.low, gap.high)
        for key, gap in gaps.items()
        if key[0] == name
    ]
    ends = [end for dot in dots for end in (dot.low, dot.high)]
    svg = whiskers(dots, axis_of("exposure less relevance", ends, include=0.0), mark=0.0)
    return Picture(svg, f"Exposure less relevance by {name}, with 95 % intervals.")
