"""Findings: what is wrong with a run, by name, in a line with its figures and a line with its mend.

    the doctor -> [Finding] -> terminal, <run>/doctor.json, MLflow, the report

Names are stable, in kebab case: people look them up and filters count them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from xmodal.storage import read_json, write_json_atomic

DOCTOR_FILE = "doctor.json"
When = Literal["before", "during", "judged", "reloaded"]
_ORDER: tuple[When, ...] = ("before", "during", "judged", "reloaded")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that makes the run's figures say less than they seem to."""

    name: str
    severity: Literal["severe", "warning"]
    """Severe: what is learnt, or measured, has no meaning while it stands."""
    when: When
    """Seen before the first step, from the epochs' figures, from judged queries, or where the saved
    matcher was opened again."""
    seen: str
    """One line, with figures."""
    mend: str
    """One line: which setting or which data to change."""

    def line(self) -> str:
        """The finding for the terminal."""
        return f"doctor: {self.name} ({self.severity}): {self.seen}; {self.mend}"


def keep_findings(folder: Path, findings: Sequence[Finding], when: When) -> list[Finding]:
    """Put `findings` in the place of those of the same time in `folder`; returns all of them."""
    kept = [one for one in read_findings(folder) if one.when != when]
    merged = sorted([*kept, *findings], key=lambda one: _ORDER.index(one.when))
    document = {"findings": [asdict(one) for one in merged]}
    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomic(folder / DOCTOR_FILE, document)
    return merged


def read_findings(folder: Path) -> list[Finding]:
    """What `keep_findings` left in a run's folder; none where it was not called."""
    path = folder / DOCTOR_FILE
    if not path.exists():
        return []
    document = read_json(path)
    assert isinstance(document, dict)
    return [Finding(**one) for one in document["findings"]]


def verdict(findings: Sequence[Finding]) -> str:
    """One line that sums them up.

    >>> verdict([])
    'doctor: nothing found'
    """
    if not findings:
        return "doctor: nothing found"
    names = list(dict.fromkeys(one.name for one in findings))
    severe = len({one.name for one in findings if one.severity == "severe"})
    count = f"{len(names)} finding{'s' * (len(names) > 1)}, {severe} severe"
    return f"doctor: {count}: {', '.join(names)}"
