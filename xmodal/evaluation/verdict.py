"""The verdict of an evaluation in plain words: what changed, whether it is chance, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from xmodal.evaluation.judge import Contrast, Evaluation, Result
from xmodal.retrieval.metrics import RANK

PAGE = 10  # products of a first page


@dataclass(frozen=True)
class Verdict:
    """A headline, and sentences that each carry one fact."""

    tone: Literal["good", "bad", "even"]
    headline: str
    facts: tuple[str, ...]
    advice: str


def say(evaluation: Evaluation) -> Verdict:
    """The last system against the first, on the text queries of the headline part."""
    results = evaluation.headline
    if not results:
        return Verdict(
            "even",
            "Nothing was judged",
            ("No part of the catalogue has text queries with a product to find.",),
            "Give judged queries (catalog.queries), or titles to products of dev.",
        )
    first, last = results[0], results[-1]
    found = [one for one in evaluation.contrasts if (one.part, one.task) == (last.part, last.task)]
    whole = {
        one.metric: one for one in found if (one.ours, one.theirs) == (last.system, first.system)
    }
    if not whole:
        return Verdict("even", _page_share(last), (_queries(last, evaluation),), _ALONE)
    tone = _tone(whole.values())
    steps = [one for one in found if one.metric == "mrr@10" and one is not whole["mrr@10"]]
    return Verdict(
        tone,
        _HEADLINES[tone].format(ours=last.system, theirs=first.system),
        (
            _pages(first, last),
            _chance(whole["mrr@10"], len(evaluation.contrasts)),
            *(_step(one) for one in steps),
            _queries(last, evaluation),
        ),
        _ADVICE[tone].format(ours=last.system, theirs=first.system),
    )


def page_share(result: Result) -> float:
    """Share of the queries with a relevant product on the first page."""
    ranks = result.per_query[RANK].values()
    return sum(rank <= PAGE for rank in ranks) / max(len(ranks), 1)


_HEADLINES = {
    "good": "Yes: {ours} finds products better than {theirs}",
    "bad": "No: {ours} finds products worse than {theirs}",
    "even": "No clear difference between {ours} and {theirs}",
}
_ADVICE = {
    "good": "Release it, once the gate agrees: it judges matcher and index end to end. Look at the"
    " losses below first; they are what some shoppers will notice.",
    "bad": "Do not release it. Keep what is live, and see how the training went below.",
    "even": "Keep what is live. More products or more judged queries, or a longer training, may"
    " settle it; the slices below show where either is ahead.",
}
_ALONE = "There is one system, and nothing to compare it with: judge it beside its base."


def _tone(contrasts: Iterable[Contrast]) -> Literal["good", "bad", "even"]:
    sure = [one for one in contrasts if one.is_significant]
    if not sure:
        return "even"
    signs = {one.found.difference > 0 for one in sure}
    if len(signs) > 1:
        return "even"
    return "good" if signs == {True} else "bad"


def _page_share(result: Result) -> str:
    return (
        f"{result.system} shows a right product on the first page for "
        f"{page_share(result):.0%} of the queries"
    )


def _pages(first: Result, last: Result) -> str:
    before, after = page_share(first), page_share(last)
    return (
        f"Of 100 queries, {100 * after:.0f} show a right product among the first {PAGE} with "
        f"{last.system}, {100 * before:.0f} with {first.system}."
    )


def _chance(one: Contrast, family: int) -> str:
    word = "This is more than chance" if one.is_significant else "This may be chance"
    return (
        f"{word}: MRR@10 {one.found.ours:.3f} against {one.found.theirs:.3f}, a difference of "
        f"{one.found.difference:+.3f} with a 95 % interval of {one.found.low:+.3f} to "
        f"{one.found.high:+.3f}; p {_p(one.corrected)}, corrected for the {family} comparisons of "
        "this report."
    )


def _step(one: Contrast) -> str:
    sure = "" if one.is_significant else " (may be chance)"
    return f"{one.ours} against {one.theirs}: {one.found.difference:+.3f} MRR@10{sure}."


def _queries(result: Result, evaluation: Evaluation) -> str:
    task = evaluation.tasks[f"{result.part} {result.task}"]
    text = f"Measured on {len(result.per_query[RANK]):,} text queries of part {result.part}"
    if any("no person judged" in note for note in task.notes):
        text += ", made of titles and judged by nobody"
    text += f", against pictures alone of {evaluation.gallery['products']:,} products."
    if result.part == "val":
        text += " The checkpoint was picked by val, so this flatters: give queries to dev or test."
    return text


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
