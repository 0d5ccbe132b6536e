"""The doctor beside a run: a look before its first step, and one after each epoch."""

from collections.abc import Callable
from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.findings import Finding
from xmodal.training.doctor.before import examine, refuse
from xmodal.training.doctor.during import follow
from xmodal.training.history import Metrics, Report
from xmodal.training.prepare import TrainPlan


class Visit:
    """One run's doctor. `say` is told each finding once; `<run>/doctor.json` holds all."""

    def __init__(self, plan: TrainPlan, folder: Path, say: Callable[[Finding], None]) -> None:
        self.plan, self.folder, self._say = plan, folder, say
        self._said: set[str] = set()
        self._history: list[Metrics] = []

    def before(self, catalog: Catalog) -> None:
        """Examine the prepared run. Raises UnhealthyRun where there is nothing to learn."""
        found = examine(self.plan, catalog, self.folder)
        self._tell(found)
        refuse(found, self.plan)

    def after_epoch(self, report: Report) -> Report:
        """`report`, and after it a look at the epochs so far."""

        def both(metrics: Metrics, epoch: int) -> None:
            report(metrics, epoch)
            self._history.append(metrics)
            self._tell(follow(self._history, self.plan, self.folder))

        return both

    def _tell(self, found: list[Finding]) -> None:
        for finding in found:
            if finding.name not in self._said:
                self._said.add(finding.name)
                self._say(finding)
