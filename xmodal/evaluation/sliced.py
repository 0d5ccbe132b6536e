"""The section of slices: recall of every group of queries, and where the last system gains."""

from collections.abc import Mapping, Sequence

import numpy as np

from xmodal.evaluation.drawing import Whisker, axis_of, whiskers
from xmodal.evaluation.judge import ALPHA, Result
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.evaluation.significance import Comparison, compare, holm, interval
from xmodal.evaluation.slices import FEWEST, gather
from xmodal.settings import Settings

_METRIC, _GAIN = "recall@10", "mrr@10"

Slice = tuple[str, str]  # group and value


def slices(judged: Judged) -> Section | None:
    """R@10 with its interval by group of queries; the gain of the last system over the first.

    The p-values of the gains are corrected (Holm) for the family of all slices.
    """
    results = judged.evaluation.headline
    if not results:
        return None
    part = results[0].part
    groups = gather(results[0].per_query, judged.evaluation.groups[f"{part} text-image"])
    gains = _gains(results, groups, judged.settings)
    tables, pictures = [], []
    for group, values in groups.items():
        dots = _dots(results, values, judged.settings)
        tables.append(_table(results, group, values, gains))
        axis = axis_of("R@10 with its 95 % interval", [dot.high for dot in dots], include=0.0)
        pictures.append(Picture(whiskers(dots, axis), f"R@10 by {group}, with intervals."))
    if not tables:
        return None
    return Section(
        "slices",
        f"Which queries do well, part {part}",
        _verdict(results, gains),
        tuple(tables),
        tuple(pictures),
        (
            f"too few: a slice of fewer than {FEWEST} queries, where a number would say little",
            "p: of a permutation test on MRR@10, corrected for all slices (Holm)",
        ),
        data={"part": part, "gains": [_plain(one, found, p) for one, (found, p) in gains.items()]},
    )


def _gains(
    results: Sequence[Result], groups: Mapping[str, Mapping[str, list[str]]], settings: Settings
) -> dict[Slice, tuple[Comparison, float]]:
    """The last system against the first on each slice that is large enough; corrected p."""
    if len(results) < 2:
        return {}
    ours, theirs = results[-1].per_query[_GAIN], results[0].per_query[_GAIN]
    found = {
        (group, value): compare(
            {query: ours[query] for query in queries},
            theirs,
            resamples=settings.evaluation.bootstrap,
            seed=settings.seed,
        )
        for group, values in groups.items()
        for value, queries in values.items()
        if len(queries) >= FEWEST
    }
    corrected = holm([one.p_value for one in found.values()])
    return {key: (one, p) for (key, one), p in zip(found.items(), corrected, strict=True)}


def _dots(
    results: Sequence[Result], values: Mapping[str, list[str]], settings: Settings
) -> list[Whisker]:
    dots = []
    for value, queries in values.items():
        if len(queries) < FEWEST:
            continue
        for one in results:
            each = np.array([one.per_query[_METRIC][query] for query in queries])
            low, high = interval(each, resamples=settings.evaluation.bootstrap, seed=settings.seed)
            dots.append(Whisker(value, one.system, float(each.mean()), low, high))
    return dots


def _table(
    results: Sequence[Result],
    group: str,
    values: Mapping[str, list[str]],
    gains: Mapping[Slice, tuple[Comparison, float]],
) -> Table:
    last = [f"MRR@10: {results[-1].system} less {results[0].system}", "95 % interval", "p"]
    rows = []
    for value, queries in values.items():
        recalls = [one.slices[group][value].get(_METRIC) for one in results]
        cells: list[str | float | None] = [None] * len(last)
        if (group, value) in gains:
            found, p = gains[group, value]
            cells = [f"{found.difference:+.4f}", f"{found.low:+.4f} to {found.high:+.4f}", p]
        rows.append((value, len(queries), *recalls, *(cells if len(results) > 1 else [])))
    head = ("", "Queries", *(f"R@10 {one.system}" for one in results))
    return Table((*head, *(last if len(results) > 1 else [])), tuple(rows), f"By {group}")


def _verdict(results: Sequence[Result], gains: Mapping[Slice, tuple[Comparison, float]]) -> str:
    if not gains:
        return "There is one system, and nothing to compare it with"
    ours, theirs = results[-1].system, results[0].system
    better = sum(p < ALPHA and one.difference > 0 for one, p in gains.values())
    worse = [key for key, (one, p) in gains.items() if p < ALPHA and one.difference < 0]
    head = f"{ours} is better than {theirs} on {better} of {len(gains)} groups of queries"
    if worse:
        named = ", ".join(f"{group}: {value}" for group, value in worse)
        return f"{head} and worse on {len(worse)} ({named}), more than by chance"
    lowest = min(gains, key=lambda key: gains[key][0].difference)
    return (
        f"{head}, more than by chance, and worse on none; it gains least where "
        f"{lowest[0]} is “{lowest[1]}” ({gains[lowest][0].difference:+.3f} MRR@10)"
    )


def _plain(one: Slice, found: Comparison, corrected: float) -> dict[str, object]:
    return {
        "group": one[0],
        "value": one[1],
        "metric": _GAIN,
        **vars(found),
        "corrected": corrected,
    }
