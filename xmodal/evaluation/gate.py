"""The gate: may a challenger take the champion's place? A pure function of two tables.

It passes when a paired bootstrap of MRR does not show it to be worse and it is no worse on
average: a release that may cost shoppers something has to show a gain, chance alone is none.
"""

from dataclasses import dataclass
from typing import Literal

from xmodal.evaluation.significance import Comparison, compare
from xmodal.retrieval.metrics import PerQuery

METRIC = "mrr@10"
_FEWEST = 2  # queries below which nothing can be said
_COMMON = 0.8  # share of all queries that both must have been judged on

Word = Literal["first", "better", "equal", "not better", "worse", "incomparable", "rolled back"]


@dataclass(frozen=True)
class Verdict:
    """The gate's answer, with reasons in words and the figures behind them."""

    passed: bool
    verdict: Word
    reasons: tuple[str, ...]
    comparison: Comparison | None = None


def gate(
    challenger: PerQuery, champion: PerQuery | None, *, resamples: int = 1000, seed: int = 0
) -> Verdict:
    """Judge `challenger` against `champion`, both on the same judged queries of one catalogue.

    - `first`: there is no champion on this catalogue; passes.
    - `better`: the whole 95 % interval of the difference lies above 0; passes.
    - `equal`: the interval holds 0 and the mean is the same or higher; passes.
    - `not better`: the interval holds 0 but the mean is lower; refused.
    - `worse`: the whole interval lies below 0; refused.
    - `incomparable`: fewer than two queries in common, or less than 80 % of all; refused.

    (`rolled back` is for the registry to say, which knows what was live.)
    """
    if champion is None:
        return Verdict(True, "first", ("no release of this catalogue is live yet",))
    found = compare(
        challenger.get(METRIC, {}), champion.get(METRIC, {}), resamples=resamples, seed=seed
    )
    judged = len(challenger.get(METRIC, {}).keys() | champion.get(METRIC, {}).keys())
    if found.queries < max(_FEWEST, _COMMON * judged):
        reason = f"only {found.queries} of {judged} judged queries in common with the champion's"
        return Verdict(False, "incomparable", (reason,), found)
    word = _word(found)
    reasons = (_figures(found), _MEANING[word], *_left_out(challenger, champion, found))
    return Verdict(word in ("better", "equal"), word, reasons, found)


_MEANING: dict[Word, str] = {
    "better": "the gain is more than chance",
    "equal": "no worse on average, and no sign of a loss",
    "not better": "lower on average; the loss may be chance, but nothing speaks for the change",
    "worse": "the loss is more than chance",
}


def _word(found: Comparison) -> Word:
    if found.low > 0:
        return "better"
    if found.high < 0:
        return "worse"
    return "equal" if found.difference >= 0 else "not better"


def _figures(found: Comparison) -> str:
    return (
        f"MRR@10 {found.ours:.4f} against {found.theirs:.4f} of the champion on "
        f"{found.queries} queries: {found.difference:+.4f}, 95 % interval "
        f"{found.low:+.4f} to {found.high:+.4f}"
    )


def _left_out(challenger: PerQuery, champion: PerQuery, found: Comparison) -> tuple[str, ...]:
    total = len(challenger.get(METRIC, {}).keys() | champion.get(METRIC, {}).keys())
    if total == found.queries:
        return ()
    return (f"{total - found.queries} queries that only one of them answered are left out",)
