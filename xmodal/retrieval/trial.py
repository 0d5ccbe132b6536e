"""A calibration tried on queries that it was not fitted on: what it says, and what is so.

Shapes: K hits of an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xmodal.matcher.calibration import PAGE, Scale
from xmodal.retrieval.answers import Scored
from xmodal.retrieval.foreign import Case
from xmodal.retrieval.reliability import auroc, reliability
from xmodal.retrieval.topk import Floats


@dataclass
class Trial:
    """What a calibration says of queries that it was not fitted on, and what is so."""

    said: list[float] = field(default_factory=list)  # probabilities of shown hits
    before: list[float] = field(default_factory=list)  # what the matcher says by itself
    right: list[bool] = field(default_factory=list)  # whether those hits are relevant
    answerable: list[float] = field(default_factory=list)  # evidence of a match, a query each
    hidden: list[float] = field(default_factory=list)  # the same, their kind of product hidden
    foreign: list[float] = field(default_factory=list)  # words that the shop never uses

    def add(
        self,
        scale: Scale,
        familiar: Callable[[Floats], float],
        cases: Sequence[Case],
        foreign: Sequence[Scored],
        temperature: float,
    ) -> None:
        """Take in what `scale` says of these answers.

        `familiar` is the calibration's, of a query's vector. `temperature` is the matcher's own,
        for what it says without a calibration.
        """

        def evidence(one: Scored) -> float:
            return scale.evidence(one.score_K, one.first_K, familiar(one.vector_D))

        for case in cases:
            found = case.found
            self.said += scale.probabilities(found.score_K, found.first_K)[:PAGE].tolist()
            self.before += found.shares(temperature)[:PAGE].tolist()
            self.right += case.right_K[:PAGE].tolist()
            self.answerable.append(evidence(found))
            if case.without is not None:
                self.hidden.append(evidence(case.without))
        self.foreign += [evidence(one) for one in foreign]

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """Said against seen, in bins of equal mass, before calibration and after."""
        found = {"before": self.before, "after": self.said}
        bins = {name: reliability(values, self.right) for name, values in found.items()}
        return {name: list(zip(one.said, one.seen, strict=True)) for name, one in bins.items()}

    def figures(self, threshold: float | None) -> dict[str, float]:
        """ECE and Brier score before and after; false alarms, detection rate and AUROC."""
        after, before = reliability(self.said, self.right), reliability(self.before, self.right)
        found = {
            "queries": float(len(self.answerable)),
            "ece_before": before.ece,
            "ece": after.ece,
            "brier_before": before.brier,
            "brier": after.brier,
            "false_alarms": _below(self.answerable, threshold),
        }
        for name, evidence in (("hidden", self.hidden), ("foreign", self.foreign)):
            if evidence:
                found[f"auroc_{name}"] = auroc(evidence, self.answerable)
                found[f"detected_{name}"] = _below(evidence, threshold)
        return found


def _below(evidence: Sequence[float], threshold: float | None) -> float:
    if threshold is None or not evidence:
        return 0.0
    return sum(one < threshold for one in evidence) / len(evidence)
