"""Before the first step: every check of the data, the settings and the base, within seconds."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.errors import UnhealthyRun
from xmodal.findings import Finding, keep_findings
from xmodal.training.doctor.amounts import check_amounts
from xmodal.training.doctor.evidence import Evidence, gather
from xmodal.training.doctor.held_out import check_held_out
from xmodal.training.doctor.pairing import check_pairing
from xmodal.training.doctor.pictures import check_pictures
from xmodal.training.doctor.texts import check_texts
from xmodal.training.doctor.weights import check_weights
from xmodal.training.prepare import TrainPlan

CHECKS: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    check_weights,
    check_pictures,
    check_texts,
    check_pairing,
    check_amounts,
    check_held_out,
)


def refuse(findings: Sequence[Finding], plan: TrainPlan) -> None:
    """Stop a run that a severe finding leaves nothing to learn.

    Raises:
        UnhealthyRun: there is one, and `training.doctor` does not say to go on.
    """
    severe = [one for one in findings if one.severity == "severe"]
    if severe and plan.training["doctor"] == "stop":
        one = severe[0]
        raise UnhealthyRun(
            f"{one.name}: {one.seen}; {one.mend} (training.doctor=report goes on all the same)"
        )


def examine(plan: TrainPlan, catalog: Catalog, folder: Path) -> list[Finding]:
    """What is wrong with a prepared run; kept in the run's `folder`."""
    evidence = gather(plan, catalog)
    found = [finding for check in CHECKS for finding in check(evidence)]
    keep_findings(folder, found, "before")
    return found
