"""The end of a run: its best checkpoint becomes a saved matcher, its token maps fitted."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from xmodal.fingerprint import code_version
from xmodal.matcher.adapters import add_adapters
from xmodal.matcher.averaging import interpolate
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.facts import Facts
from xmodal.matcher.saved import load_encoder, save_matcher
from xmodal.matcher.tokens import ImageViews, fit_patch_tokens
from xmodal.retrieval.embed import open_store
from xmodal.storage import read_json, write_json_atomic
from xmodal.training.captions import load_table
from xmodal.training.held_out import load_valset
from xmodal.training.history import Metrics
from xmodal.training.prepare import TrainPlan
from xmodal.training.state import read_progress, read_weights
from xmodal.training.texts import TextStore
from xmodal.training.validate import retrieval

FINISHED_FILE = "result.json"
# Pictures that the token maps are fitted on: 4,096 x 8 cells for maps of at most 1,280 channels.
TOKEN_PICTURES = 4_096
ROWS = 256


@dataclass(frozen=True)
class Finished:
    """What a finished run leaves beside its matcher."""

    metrics: Metrics  # of the best epoch
    history: list[Metrics]
    facts: dict[str, str]  # what was derived, and from what


def finished(folder: Path) -> Finished | None:
    """The result of a run that has ended; None of one that has yet to."""
    path = folder / FINISHED_FILE
    if not path.exists():
        return None
    value = read_json(path)
    assert isinstance(value, dict)
    return Finished(**value)


def finish(
    folder: Path, plan: TrainPlan, best: str | os.PathLike[str], last: str | os.PathLike[str]
) -> Finished:
    """Save the encoder of checkpoint `best` as `folder`/matcher, and the run's result."""
    progress = read_progress(last)
    encoder = trained_encoder(plan, best)
    # Of equal epochs Ray keeps the later one: the figures are those of the weights.
    metrics = read_progress(best).history[-1]
    if base_share := plan.training["base_share"]:
        interpolate(encoder, load_encoder(Path(plan.encoder)), base_share)
        metrics = metrics | judge(encoder, plan)
    fit_tokens(encoder, plan)
    done = Finished(
        metrics=metrics,
        history=progress.history,
        facts=dict(plan.facts),
    )
    facts = Facts(
        data=plan.catalog,
        run=folder.name,
        code=code_version(),
        settings={"training": plan.training, "seed": plan.seed, "dropout": plan.dropout},
        evaluation={k: v for k, v in done.metrics.items() if "@" in k or k == "map"},
    )
    save_matcher(folder / "matcher", encoder, None, facts)
    write_json_atomic(folder / FINISHED_FILE, asdict(done))
    return done


def trained_encoder(plan: TrainPlan, checkpoint: str | os.PathLike[str]) -> Encoder:
    """The encoder of a checkpoint, its adapters merged."""
    encoder = load_encoder(Path(plan.encoder))
    adapters = add_adapters(encoder, plan.adapter, plan.adapter_rank)
    encoder.load_trained_state(read_weights(checkpoint))
    adapters.merge()
    return encoder.eval()


def judge(encoder: Encoder, plan: TrainPlan) -> Metrics:
    """Retrieval figures on the plan's `val`."""
    valset = load_valset(Path(plan.data) / "val.json")
    images, texts = open_store(Path(plan.images)), TextStore(Path(plan.texts))
    return retrieval(encoder, valset, images, texts, torch.device("cpu"))


def fit_tokens(encoder: Encoder, plan: TrainPlan) -> None:
    """Fit the encoder's patch tokens on a sample of the train pictures, in place."""
    fit_patch_tokens(encoder.patch, _views(encoder, plan))


@torch.inference_mode()
def _views(encoder: Encoder, plan: TrainPlan) -> Iterator[ImageViews]:
    """Views of a sample of the train pictures."""
    rows = load_table(Path(plan.data)).image_row
    rng = np.random.default_rng(plan.seed)
    sample = np.sort(rng.choice(rows, size=min(TOKEN_PICTURES, len(rows)), replace=False))
    store = open_store(Path(plan.images))
    for start in range(0, len(sample), ROWS):
        taken = store.take(sample[start : start + ROWS])
        yield encoder.image_views({name: torch.from_numpy(x) for name, x in taken.items()})
