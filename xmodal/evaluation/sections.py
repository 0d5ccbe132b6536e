"""Sections of the report: what an analysis found, in plain values that a page and a file can show.

An analysis is a function that gives a `Section`; `analyses.py` lists those that the report runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xmodal.catalog.store import Catalog
from xmodal.evaluation.judge import Contender, Evaluation
from xmodal.findings import Finding
from xmodal.settings import Settings


@dataclass(frozen=True)
class Judged:
    """What an analysis may look at."""

    contenders: Sequence[Contender]  # the one to compare with first
    catalog: Catalog
    evaluation: Evaluation
    settings: Settings
    findings: Sequence[Finding] = ()  # the doctor's, before and during the training
    history: Sequence[Mapping[str, float]] = ()
    """Of the training that made the last contender: a row of figures an epoch."""


Row = tuple[str | int | float | None, ...]


@dataclass(frozen=True)
class Table:
    """Rows of plain values under a head; floats are shown with four digits."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    """None: nothing was measured; the page says so instead of a number."""
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawing as SVG text, which needs no other file."""

    svg: str
    says: str
    """What it shows, in words: for those who do not see it."""


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    name: str
    """Short and stable, such as `robustness`: its key in metrics.json and its anchor."""
    title: str
    verdict: str
    """The finding in a plain sentence."""
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    data: dict[str, object] = field(default_factory=dict)
    """All figures as JSON, for metrics.json and for download."""
