"""Robustness: what typing errors, other scripts, bad pictures and an adversary cost.

Queries and relevant pictures are sampled, so that the section takes about half a minute on two
cores with the offline base; the gallery is whole.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import cycle

from xmodal.catalog.lexicon import lexicon
from xmodal.catalog.variants.pictures import AMOUNTS
from xmodal.catalog.variants.texts import text_variants
from xmodal.evaluation.drawing import Axis, axis_of, lines
from xmodal.evaluation.judge import ALPHA
from xmodal.evaluation.perturbed import (
    Change,
    Searched,
    changed_pictures,
    changed_texts,
    draw_shown,
)
from xmodal.evaluation.pgd import Attacked, attack_curve
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.evaluation.significance import holm
from xmodal.evaluation.slices import FEWEST
from xmodal.evaluation.tasks import Task

QUERIES = 100
PICTURES = 32
SEVERITIES = (1, 3, 5)
ATTACKED = 12
EPSILONS = (1, 2, 4, 8)  # levels of 255
_STEPS = 5
_CURVE_HEAD = ("System", "Change of at most, of 255", "R@10", "Cosine", "R@10, noise", "Cosine")
_CURVE_CAPTION = (
    "An adversary who changes each pixel of a relevant picture, and noise of the same size"
)


def robustness(judged: Judged) -> Section | None:
    """What each variant costs each contender's first stage; None with too few text queries."""
    began = time.perf_counter()
    task = judged.evaluation.asked
    if task is None or len(task.qrels) < FEWEST:
        return None
    seed = judged.settings.seed
    searched = [Searched(one, judged.catalog) for one in judged.contenders]
    variants = text_variants(lexicon(judged.catalog.glossary()))
    names = draw_queries(task, QUERIES, seed)
    texts = [
        change for one in searched for change in changed_texts(one, task, names, variants, seed)
    ]
    first = searched[0]
    size = first.encoder.spec.image_size
    shown = draw_shown(task, first.gallery, judged.catalog, size, most=PICTURES, seed=seed)
    asked = [
        (name, severity, f"{amounts[severity - 1]:g} ({unit})")
        for name, (unit, amounts) in AMOUNTS.items()
        for severity in SEVERITIES
    ]
    pictures = changed_pictures(searched, shown, asked, seed) if shown.texts else []
    curve = [
        row
        for one in searched
        if shown.texts
        for row in attack_curve(one, shown, EPSILONS, most=ATTACKED, steps=_STEPS, seed=seed)
    ]
    return _section((texts, pictures), curve, task, time.perf_counter() - began)


def draw_queries(task: Task, most: int, seed: int) -> list[str]:
    """At most `most` queries by the seed, as many of each language as there are."""
    by_lang: dict[str, list[str]] = {}
    for name in sorted(task.qrels):
        by_lang.setdefault(task.langs.get(name, ""), []).append(name)
    found: list[str] = []
    for left, names in enumerate(sorted(by_lang.values(), key=len)):
        room = (most - len(found)) // (len(by_lang) - left)
        random.Random(seed).shuffle(names)
        found += names[:room]
    return sorted(found)


def _section(
    changes: tuple[list[Change], list[Change]], curve: list[Attacked], task: Task, took_s: float
) -> Section:
    texts, pictures = changes
    last = texts[-1].system
    groups = {
        "variants of queries": _of(last, texts),
        "variants of pictures, at severity 3,": [
            change
            for change, severity in zip(_of(last, pictures), cycle(SEVERITIES))
            if severity == 3
        ],
    }
    tables = (
        _table("What shoppers type: R@10 of variants of the queries", texts),
        _table("What shops show: R@10 with variants of the relevant pictures", pictures),
        Table(_CURVE_HEAD, tuple(tuple(asdict(row).values()) for row in curve), _CURVE_CAPTION),
    )
    return Section(
        name="robustness",
        title="Does it bear bad input?",
        verdict=_verdict(last, groups),
        tables=tuple(table for table in tables if table.rows),
        pictures=tuple(_drawings(_of(last, pictures), curve)),
        notes=(
            f"first stage alone, on a sample of the queries of {task.part}; took {took_s:.0f} s",
            "the gallery is whole, and shows pictures alone",
            "p is Holm's: corrected for all variants of a system in the table; the interval is not",
            "pictures are changed at their own size, by the adversary at the encoder's",
        ),
        data={
            "texts": [_plain(change) for change in texts],
            "pictures": [_plain(change) for change in pictures],
            "adversarial": [asdict(row) for row in curve],
            "seconds": took_s,
        },
    )


def _of(system: str, changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change.system == system]


def _verdict(system: str, groups: Mapping[str, Sequence[Change]]) -> str:
    """What harms most of each group, of what harms more than chance would."""
    said = []
    for group, changes in groups.items():
        enough = [change for change in changes if change.recall.queries >= FEWEST]
        p_values = holm([change.recall.p_value for change in enough])
        harmful = [
            change
            for change, p in zip(enough, p_values, strict=True)
            if p < ALPHA and change.recall.difference < 0
        ]
        harmful.sort(key=lambda change: change.kept or 0.0)
        worst = ", ".join(f"{c.variant} leaves {c.kept:.0%}" for c in harmful[:3])
        worst = f" (of R@10 {worst})" if worst else ""
        if enough:
            said.append(f"{len(harmful)} of {len(enough)} {group} harm {system}{worst}")
    return "; ".join(said) + " by more than chance." if said else "Too few queries to say."


def _table(caption: str, changes: Sequence[Change]) -> Table:
    head = (
        *("System", "Variant", "Amount", "Queries", "R@10 before", "After", "Kept"),
        *("95 % of the difference", "p", "MRR before", "After"),
    )
    rows: list[tuple[str | int | float | None, ...]] = []
    for system in dict.fromkeys(change.system for change in changes):
        mine = [change for change in _of(system, changes) if change.recall.queries]
        p_values = holm([change.recall.p_value for change in mine])
        for one, p in zip(mine, p_values, strict=True):
            row = (system, one.variant, one.amount, one.recall.queries)
            if one.recall.queries < FEWEST:
                rows.append((*row, *[None] * (len(head) - len(row))))
                continue
            interval = f"{one.recall.low:+.3f} to {one.recall.high:+.3f}"
            kept = "-" if one.kept is None else f"{one.kept:.0%}"
            before = (one.recall.theirs, one.recall.ours, kept)
            rows.append((*row, *before, interval, p, one.mrr.theirs, one.mrr.ours))
    return Table(head, tuple(rows), caption)


def _drawings(pictures: Sequence[Change], curve: Sequence[Attacked]) -> list[Picture]:
    found = []
    if pictures and pictures[0].recall.theirs:
        severities: dict[str, list[tuple[float, float]]] = {}
        for place, change in enumerate(pictures):
            severity = SEVERITIES[place % len(SEVERITIES)]
            severities.setdefault(change.variant, []).append((severity, change.kept or 0.0))
        y = axis_of("Share of R@10 kept", [v for s in severities.values() for _, v in s], 0)
        svg = lines(severities, Axis("Severity", 1, 5), y)
        says = f"Share of R@10 that {pictures[0].system} keeps at severity 1, 3 and 5"
        found.append(Picture(svg, says))
    if curve:
        series: dict[str, list[tuple[float, float]]] = {}
        for row in curve:
            series.setdefault(row.system, []).append((row.eps, row.recall))
            series.setdefault(f"{row.system}, noise", []).append((row.eps, row.noise_recall))
        x = Axis("Largest change of a pixel, of 255", 0, EPSILONS[-1])
        svg = lines(series, x, axis_of("R@10", [row.recall for row in curve], 0))
        found.append(Picture(svg, "R@10 under an adversary's change of the picture, and noise"))
    return found


def _plain(change: Change) -> dict[str, object]:
    return {
        "system": change.system,
        "variant": change.variant,
        "amount": change.amount,
        "recall@10": asdict(change.recall),
        "mrr@10": asdict(change.mrr),
    }
