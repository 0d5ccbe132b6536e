"""The end of a run: its best checkpoint becomes a saved matcher."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import open_store
from xmodal.storage import read_json, write_json_atomic
from xmodal.training.captions import load_table
from xmodal.training.history import Metrics, read_history
from xmodal.training.prepare import TrainPlan
from xmodal.training.state import read_weights

FINISHED_FILE = "result.json"


@dataclass(frozen=True)
class Finished:
    """What a finished run leaves beside its matcher."""

    metrics: Metrics  # of the best epoch
    facts: dict[str, str]


def finished(folder: Path) -> Finished | None:
    """The result of a run that has ended; None of one that has yet to."""
    path = folder / FINISHED_FILE
    if not path.exists():
        return None
    value = read_json(path)
    assert isinstance(value, dict)
    return Finished(**value)
