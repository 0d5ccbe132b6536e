"""The analyses of an evaluation, beyond its means: each looks at one question and gives a section.

An analysis gets what was judged and may embed more, on a sample that keeps it within seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xmodal.catalog.store import Catalog
from xmodal.evaluation.judge import Contender, Evaluation
from xmodal.evaluation.sections import Section
from xmodal.settings import Settings


@dataclass(frozen=True)
class Judged:
    """What an analysis may look at."""

    contenders: Sequence[Contender]  # the one to compare with first
    catalog: Catalog
    evaluation: Evaluation
    settings: Settings


Analysis = Callable[[Judged], Section | None]  # None: the catalogue has nothing to ask it of

ANALYSES: tuple[Analysis, ...] = ()


def analyse(judged: Judged, analyses: Sequence[Analysis] = ANALYSES) -> list[Section]:
    """The sections of all analyses that apply, in their order."""
    found = (analysis(judged) for analysis in analyses)
    return [section for section in found if section is not None]
