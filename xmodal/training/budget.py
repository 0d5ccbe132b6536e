"""The recipe for a stated time: `budget: 2h` is the whole job's, and here becomes epochs.

    budget - spent so far - what comes after training = time to train -> epochs, at a measured cost

What helped most on a catalogue of 40,000 products was time: held-out R@10 rose from 0.35 at 6
epochs to 0.40 at 12 and 0.42 at 24; deeper tuning and larger batches brought less than the epochs
that they cost (`benchmarks/quality/`). So a budget buys epochs, on larger pictures where it is
long enough for both (`picture_size.py`). A longer budget on the same home goes on where the
shorter one stopped: the cosine is then that of the longer schedule.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import torch

from xmodal.catalog.store import Catalog
from xmodal.errors import SettingsError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.saved import load_encoder
from xmodal.retrieval.embed import open_store
from xmodal.retrieval.store import FeatureStore
from xmodal.settings import Settings, TrainingSettings
from xmodal.storage import read_json, write_json_atomic
from xmodal.training.batches import Sampler, passes_of
from xmodal.training.captions import load_table
from xmodal.training.doctor.amounts import MOST_PASSES
from xmodal.training.held_out import load_valset
from xmodal.training.history import Metrics, read_history
from xmodal.training.loop import train_step
from xmodal.training.prepare import CLAIM_FILE, PLAN_FILE, TrainPlan
from xmodal.training.worker import make_sampler, make_trainee

MOST_EPOCHS = 60  # beyond, the towers only learn `train` by heart
LEAST_EPOCHS = 6  # where time allows, however often an epoch passes the few products of a shop
# After training the job embeds the catalogue, trains the reranker, judges, indexes and measures:
# start-ups and judging, and so many times what one thread's heads need for the whole catalogue.
AFTER_HEADS = 5.0
AFTER_S = 300.0
SAFETY = 0.95
PARALLEL = 0.85  # of twice one worker's pace, each on one thread, two reach this (bench_ddp.py)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PROBE_PICTURES = 256
_PROBE_STEPS = 2
CLOCK_FILE = "spent.json"
SIZE_FILE = "size.json"  # why the pictures have their size (`picture_size.py`)


def seconds_of(budget: str) -> float:
    """Seconds of `90s`, `40m` or `1.5h`. Raises SettingsError where it is no such time."""
    number, unit = budget[:-1], budget[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"budget={budget!r}: give a time such as 40m or 2h")
    return seconds


class Clock:
    """Seconds that all jobs which worked at a run have had, this one from its very start."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the run's."""
        self._path = folder / CLOCK_FILE
        found = read_json(self._path) if self._path.exists() else {}
        assert isinstance(found, dict)
        self._started = psutil.Process().create_time()
        self._job = f"{self._started:.0f}"
        self._others = {job: seconds for job, seconds in found.items() if job != self._job}

    def spent_s(self) -> float:
        """Seconds so far."""
        return float(sum(self._others.values())) + time.time() - self._started

    def keep(self) -> None:
        """Note this job's time, so that a killed job's counts too."""
        mine = {self._job: time.time() - self._started}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomic(self._path, self._others | mine)

    def add(self, folder: Path) -> None:
        """Count what the run in `folder` was given too."""
        self._others |= Clock(folder)._others


@dataclass(frozen=True)
class Costs:
    """What was measured on this machine, in seconds."""

    epoch_s: float
    """A pass and its validation."""
    after_s: float
    """All that follows the training."""


def within_budget(
    plan: TrainPlan, folder: Path, catalog: Catalog, settings: Settings, *, shares: int = 1
) -> TrainPlan:
    """The plan with as many epochs as the budget pays for, kept in the run's folder.

    A run that is resumed with the budget it was begun with keeps its epochs.

    Args:
        shares: runs that share the time, of which this is one.

    Raises:
        SettingsError: the budget is no time, or the workers have GPUs, not measured from here.
    """
    if (budget := settings.epoch_budget) is None:
        return plan
    budget_s = seconds_of(budget)
    if plan.training["gpu"]:
        raise SettingsError("budget is for training on CPUs: set training.epochs, or no budget")
    kept = folder / "budget.json"
    if not kept.exists():
        clock, shorter = Clock(folder), shorter_run(folder)
        if shorter is not None:
            clock.add(shorter)
            clock.keep()
        history = [] if shorter is None else read_history(shorter)
        costs, most = measure_costs(plan, catalog, history), _most_epochs(plan)
        left_s = (budget_s - clock.spent_s() - costs.after_s) * SAFETY / shares
        epochs = len(history) + max(1, int(left_s / costs.epoch_s))
        why = _why(budget, left_s, costs, len(history))
        write_json_atomic(kept, {"epochs": min(epochs, most), "why": why})
    chosen = read_json(kept)
    assert isinstance(chosen, dict)
    epochs = int(chosen["epochs"])
    # Over a long schedule the best epochs come last, when the rate falls: wait for them.
    patience = max(plan.training["patience"], epochs // 2)
    training = plan.training | {"epochs": epochs, "patience": patience}
    facts = plan.facts | {"epochs": f"{epochs}: {chosen['why']}"} | _size_fact(folder)
    plan = replace(plan, training=training, facts=facts)
    write_json_atomic(folder / PLAN_FILE, plan.as_config())
    return plan


def _size_fact(folder: Path) -> dict[str, str]:
    if not (folder / SIZE_FILE).exists():
        return {}
    found = read_json(folder / SIZE_FILE)
    assert isinstance(found, dict)
    return {"pictures": str(found["why"])}


def shorter_run(folder: Path) -> Path | None:
    """The run that the run in `folder` goes on from: alike in all but a smaller budget."""
    mine, budget = _claim(folder)
    kind = folder.name.partition("-")[0]  # a search never goes on from a training run
    found = []
    for path in folder.parent.glob(f"{kind}-*/{CLAIM_FILE}"):
        theirs, given = _claim(path.parent)
        if theirs == mine and 0 < given < budget and read_history(path.parent):
            found.append(path.parent)
    return max(found, key=lambda run: (len(read_history(run)), run.name), default=None)


def measure_costs(plan: TrainPlan, catalog: Catalog, history: list[Metrics]) -> Costs:
    """Time a few steps and pictures of this very plan on this machine; or read the `history`.

    On one thread, as a worker has: torch's own threads share a step less well than workers do.
    """
    recipe, images = TrainingSettings(**plan.training), open_store(Path(plan.images))
    with one_thread():
        picture_s = _picture_seconds(load_encoder(Path(plan.encoder)), images)
    if history:
        epochs = [row["train_s"] + row["validate_s"] for row in history]
        epoch_s = sum(epochs) / len(epochs)
    else:
        sampler = make_sampler(plan, recipe)
        validated = len(load_valset(Path(plan.data) / "val.json").gallery_rows)
        with one_thread():
            step_s = _step_seconds(plan, recipe, sampler)
        at_once = max(1, min(recipe.workers, os.cpu_count() or 1))
        parallel = PARALLEL if at_once > 1 else 1.0
        epoch_s = (sampler.steps * step_s / parallel + validated * picture_s) / at_once
    return Costs(epoch_s, AFTER_S + AFTER_HEADS * catalog.n_images * picture_s)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch works on one thread until the block ends."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _most_epochs(plan: TrainPlan) -> int:
    """An epoch of a small shop passes each product often: well below what the doctor finds odd."""
    passes = passes_of(len(load_table(Path(plan.data))), plan.training["batch"])
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, MOST_PASSES // 2 // passes))


def _claim(folder: Path) -> tuple[dict[str, object], float]:
    """What the run was begun with, and its budget in seconds; 0 where it had none."""
    claim = read_json(folder / CLAIM_FILE)
    assert isinstance(claim, dict)
    budget = claim.pop("budget", None)
    return claim, seconds_of(budget) if budget else 0.0


def _step_seconds(plan: TrainPlan, recipe: TrainingSettings, sampler: Sampler) -> float:
    device = torch.device("cpu")
    trainee = make_trainee(plan, recipe, sampler.steps, device, lambda model: model)
    trainee.model.train()
    batches = sampler.epoch(0)
    train_step(trainee, next(batches), recipe)  # the first one warms memory and files up
    some = list(islice(batches, _PROBE_STEPS))
    return _timed(lambda: [train_step(trainee, batch, recipe) for batch in some]) / len(some)


@torch.inference_mode()
def _picture_seconds(encoder: Encoder, images: FeatureStore) -> float:
    """Of the heads, for a picture whose trunk features are kept."""
    rows = np.arange(min(_PROBE_PICTURES, len(images.product_row)))
    kept = {name: torch.from_numpy(x) for name, x in images.take(rows).items()}
    encoder.image_head_and_tokens(kept)  # the first time warms memory up
    return _timed(lambda: encoder.image_head_and_tokens(kept)) / len(rows)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _why(budget: str, left_s: float, costs: Costs, done: int) -> str:
    if left_s < costs.epoch_s and not done:
        return f"{budget} leave no time for one of {costs.epoch_s:.0f} s; raise the budget"
    return (
        f"{budget} leave {max(0.0, left_s) / 60:.0f} min to train, at {costs.epoch_s:.0f} s each"
        + (f", after {done} done before" if done else "")
        + f"; {costs.after_s / 60:.0f} min are kept for what follows"
    )
