"""The analyses of an evaluation, beyond its means: each looks at one question and gives a section.

Each is a function in a module of its own. It gets what was judged and may embed more, on a sample
that keeps it within seconds.
"""

from collections.abc import Callable, Sequence

from xmodal.evaluation.calibration import calibration
from xmodal.evaluation.explanations import explanations
from xmodal.evaluation.faithfulness import faithfulness
from xmodal.evaluation.health import doctor
from xmodal.evaluation.leaks import leaks
from xmodal.evaluation.missing import missing_fields
from xmodal.evaluation.robustness import robustness
from xmodal.evaluation.sections import Judged, Section

Analysis = Callable[[Judged], Section | None]  # None: the catalogue has nothing to ask it of

# One a line, in the order of the page.
ANALYSES: tuple[Analysis, ...] = (
    doctor,
    leaks,
    faithfulness,
    robustness,
    missing_fields,
    calibration,
    explanations,
)


def analyse(judged: Judged, analyses: Sequence[Analysis] = ANALYSES) -> list[Section]:
    """The sections of all analyses that apply, in their order."""
    found = (analysis(judged) for analysis in analyses)
    return [section for section in found if section is not None]
