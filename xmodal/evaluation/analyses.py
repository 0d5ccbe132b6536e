"""The analyses of an evaluation, beyond its means: each looks at one question and gives a section.

Each is a function in a module of its own. It gets what was judged and may embed more, on a sample
that keeps it within seconds.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from xmodal.evaluation.calibration import calibration
from xmodal.evaluation.classes import classification
from xmodal.evaluation.curves import recall_curves, training_curves
from xmodal.evaluation.embedding_map import embedding_map
from xmodal.evaluation.explanations import explanations
from xmodal.evaluation.exposure import exposure
from xmodal.evaluation.faithfulness import faithfulness
from xmodal.evaluation.fields import product_vectors
from xmodal.evaluation.first_page import first_page
from xmodal.evaluation.gains import gain_tables
from xmodal.evaluation.health import doctor
from xmodal.evaluation.leaks import leaks
from xmodal.evaluation.missing import missing_fields
from xmodal.evaluation.robustness import robustness
from xmodal.evaluation.sections import Judged, Section
from xmodal.evaluation.sliced import slices
from xmodal.evaluation.thresholds import thresholds

Analysis = Callable[[Judged], Section | None]  # None: the catalogue has nothing to ask it of

# One a line, in the order of the page.
ANALYSES: tuple[Analysis, ...] = (
    doctor,
    recall_curves,
    slices,
    gain_tables,
    leaks,
    robustness,
    faithfulness,
    missing_fields,
    product_vectors,
    calibration,
    thresholds,
    classification,
    first_page,
    exposure,
    embedding_map,
    training_curves,
    explanations,
)


def analyse(judged: Judged, analyses: Sequence[Analysis] = ANALYSES) -> list[Section]:
    """The sections of all analyses that apply, in their order; each runs on one core."""
    cores = torch.get_num_threads()
    with ThreadPoolExecutor(cores, "analysis", torch.set_num_threads, (1,)) as pool:
        found = pool.map(lambda analysis: analysis(judged), analyses)
        return [section for section in found if section is not None]
