"""Why were they found? The first hits of a few queries taken apart, and the proof by deletion."""

from collections.abc import Sequence

import numpy as np

from xmodal.evaluation.judge import Contender
from xmodal.evaluation.sections import Judged, Picture, Section, Table
from xmodal.matcher.deletion import SHARE, Deletion, deletion, mean_deletion
from xmodal.matcher.explain import Explanation, PairScore, explain
from xmodal.matcher.heat_map import heat_map

PAIRS = 10  # a dozen seconds with the offline base
_SHOWN = 6
_LEGEND = (
    "Warm: without it the score falls, cool: without it the score rises. Each query's first hit, "
    "as the matcher sees it."
)


def explanations(judged: Judged) -> Section | None:
    """The section, of the last contender; None where no text was asked."""
    task = judged.evaluation.asked
    if task is None:
        return None
    contender = judged.contenders[-1]
    second = " + rerank" if contender.matcher.reranker is not None else ""
    result = judged.evaluation.result(contender.name + second, task.part)
    if result is None:
        return None
    names = [name for name in sorted(task.texts) if result.top.get(name)]
    drawn = np.random.default_rng(judged.settings.seed).permutation(len(names))[:PAIRS]
    asked = [(task.texts[names[row]], result.top[names[row]][0]) for row in drawn.tolist()]
    found = _explain(contender, judged, asked)
    if not found:
        return None
    whole = mean_deletion([one for _, _, one in found])
    return Section(
        name="explanations",
        title="Why these were found",
        verdict=_verdict(whole, len(found)),
        tables=(_table(whole),),
        pictures=tuple(
            Picture(heat_map(pair.pixels_CHW, why), _says(pair.text, why))
            for pair, why, _ in found[:_SHOWN]
        ),
        notes=(_LEGEND,),
        data={**vars(whole), "pairs": len(found)},
    )


def _explain(
    contender: Contender, judged: Judged, asked: Sequence[tuple[str, str]]
) -> list[tuple[PairScore, Explanation, Deletion]]:
    matcher, catalog = contender.matcher, judged.catalog
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    row_of = {product: row for row, product in enumerate(ids)}
    rng, found = np.random.default_rng(judged.settings.seed), []
    for text, product in asked:
        row = row_of[product]
        pictures = [encoded for _, _, encoded in catalog.images(row, row + 1)]
        pair = PairScore(matcher.encoder, matcher.reranker, text, pictures)
        why = explain(pair)
        found.append((pair, why, deletion(pair, why, rng)))
    return found


def _verdict(whole: Deletion, pairs: int) -> str:
    return (
        f"Over {pairs} first hits, taking the heaviest {SHARE:.0%} of a query's words away costs "
        f"{_times(whole.words_ratio)} what random words cost; of the picture's regions, "
        f"{_times(whole.regions_ratio)}."
    )


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if np.isfinite(ratio) else "far more than"


def _table(whole: Deletion) -> Table:
    rows = (
        ("words", whole.words_heaviest, whole.words_random),
        ("regions", whole.regions_heaviest, whole.regions_random),
    )
    head = ("Taken away", "The heaviest fifth costs", "A random fifth costs")
    return Table(head, rows, "What the score loses, in the mean")


def _says(text: str, why: Explanation) -> str:
    if not why.words:
        return f"The first hit for {text}, its weighty regions glowing"
    heaviest = max(why.words, key=lambda word: word.weight)
    return f"The first hit for {text}: the word {heaviest.text} weighs most; its regions glow"
