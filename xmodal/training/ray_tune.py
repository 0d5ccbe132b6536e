"""Ray Tune over Ray Train: each trial is one Train run of the same training.

    prepare (once) -> Tuner(ASHA, Optuna) -> trial: fit_run(plan at a point) -> best checkpoint

The trials share the cached features. A search goes on where it stopped: Tune restores its
trials and the searcher's state, each trial goes on from its own last checkpoint.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import ray
from ray import train, tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from xmodal.errors import ServiceError
from xmodal.training.history import Metrics, polled, read_history
from xmodal.training.ray_train import OBJECTIVE, WORKER_CPUS, Progress, fit_run, prepare_run

if TYPE_CHECKING:
    from xmodal.catalog.store import Catalog
    from xmodal.settings import Settings, SpaceItem
    from xmodal.training.prepare import TrainPlan
    from xmodal.training.space import Point

EPOCHS_DONE = "epochs_done"  # the clock of ASHA: a resumed trial goes on counting where it was
DRIVER_CPUS = 0.01  # Tune refuses a trial that asks for nothing
LEAST_WORKER_CPUS = 0.1
ReportTrial = Callable[[str, Metrics, int], None]


@dataclass(frozen=True)
class Trial:
    """What one point of the space reached."""

    name: str
    point: "Point"
    best: float
    epochs: int


@dataclass(frozen=True)
class TuneResult:
    """A finished search."""

    folder: Path | None  # a saved matcher: the best trial's best epoch; None: beaten, not saved
    metrics: Metrics
    point: "Point"
    trials: list[Trial]
    facts: dict[str, str]


@dataclass(frozen=True)
class Room:
    """How many trials run at once, and the logical CPUs of each of their workers."""

    trials: int
    worker_cpus: float


def tune_encoder(
    home: Path,
    catalog: "Catalog",
    settings: "Settings",
    name: str,
    report: ReportTrial,
    *,
    progress: Progress = lambda _: None,
    to_beat: float | None = None,
) -> TuneResult:
    """Search `tuning.space`; the best trial's checkpoint becomes `<home>/runs/<name>/matcher`.

    Args:
        report: called in this process after each epoch of each trial: its name, figures, epoch.
        progress: told the share of the features that was cached, before the first trial.
        to_beat: what the settings as they stand reached, where they have been trained: a search
            that finds nothing better saves no matcher. Else they are the first trial.

    Raises:
        SettingsError: a space that cannot be searched.
        ServiceError: the cluster has no room for one trial, or no dashboard.
    """
    from xmodal.training.finish import finished
    from xmodal.training.recipe import derived
    from xmodal.training.space import check_space, first_point

    settings = derived(settings)
    check_space(settings)
    folder = home / "runs" / name
    room = find_room(settings.training.workers, settings.training.gpu)
    plan = prepare_run(home, catalog, settings, name, progress, shares=settings.tuning.trials)
    training = settings.training.model_copy(update={"epochs": plan.training["epochs"]})
    settings = settings.model_copy(update={"training": training})
    if finished(folder) is None:
        first = first_point(settings) if to_beat is None else None
        search(folder, settings, room, report, first)
    result = _result(folder, plan, to_beat)
    at_once = {"trials at once": f"{room.trials}, as processors allow"}
    return replace(result, facts={**result.facts, **at_once})


def _result(folder: Path, plan: "TrainPlan", to_beat: float | None) -> TuneResult:
    """The best trial's matcher, saved unless it beats nothing."""
    from xmodal.training.finish import finish, finished
    from xmodal.training.space import at_point

    trials = trials_of(folder)
    best = max(trials, key=lambda trial: trial.best)
    # With a share of the base's weights mixed in, a trial's own figure is not yet its matcher's.
    if to_beat is not None and best.best <= to_beat and not plan.training["base_share"]:
        return TuneResult(None, {OBJECTIVE: best.best}, best.point, trials, plan.facts)
    if (done := finished(folder)) is None:
        kept = _checkpoint(folder, best)
        done = finish(folder, at_point(plan, best.point), kept, kept)
    return TuneResult(folder / "matcher", done.metrics, best.point, trials, done.facts)


def search(
    folder: Path,
    settings: "Settings",
    room: Room,
    report: ReportTrial,
    first: dict[str, Any] | None = None,
) -> list[Trial]:
    """Run the trials of `folder`, which has a plan, or those that a killed job left undone.

    Args:
        first: the point that the search begins with, if any.

    Raises:
        ServiceError: no dashboard, or every trial failed.
    """
    check_dashboard()
    _hush()
    trainable = tune.with_resources(_trial, {"cpu": DRIVER_CPUS})
    place = str(folder / "tune")
    if tune.Tuner.can_restore(place):
        tuner = tune.Tuner.restore(place, trainable, restart_errored=True)
    else:
        tuner = tune.Tuner(
            trainable,
            param_space={"folder": str(folder), "worker_cpus": room.worker_cpus}
            | {item.setting: _domain(settings, item) for item in settings.tuning.space},
            tune_config=_tune_config(settings, room, first),
            run_config=tune.RunConfig(name="tune", storage_path=str(folder), verbose=0),
        )
    with _followed(folder, report):
        results = tuner.fit()
    if not trials_of(folder):
        raise ServiceError(f"every trial failed; the first one: {results.errors[0]}")
    return trials_of(folder)


def find_room(workers: int, gpu: bool) -> Room:
    """How many trials the cluster can run at once without waiting for each other for ever.

    A trial holds its driver and asks for its workers later: were two trials to hold a part each,
    none would ever get the rest. One CPU is left for whatever else runs.

    Raises:
        ServiceError: not even one trial fits.
    """
    have = ray.cluster_resources()
    cpus = have.get("CPU", 0.0)
    if gpu:
        room = min(have.get("GPU", 0.0) / workers, (cpus - 1) / (workers + DRIVER_CPUS))
        worker_cpus = 1.0
    else:
        shared = (cpus - 1 - DRIVER_CPUS) / workers
        worker_cpus = min(WORKER_CPUS, floor(shared * 100) / 100)
        room = (cpus - 1) / (workers * max(worker_cpus, LEAST_WORKER_CPUS) + DRIVER_CPUS)
        # Logical CPUs are ours to name; more trials than real cores only take turns.
        room = min(room, max(1, _cores(cpus) // workers))
    if room < 1 or worker_cpus < LEAST_WORKER_CPUS:
        raise ServiceError(
            f"tuning needs room for a trial of training.workers={workers}, and the cluster has "
            f"{cpus:g} CPU and {have.get('GPU', 0):g} GPU: set training.workers=1, or start Ray "
            f"with --num-cpus {workers + 2}"
        )
    return Room(floor(room), worker_cpus)


def check_dashboard() -> None:
    """Raise ServiceError without Ray's dashboard: a trial's processors would never be freed."""
    from ray.util.state import list_nodes

    # By address: the default asks whichever Ray was started last on this machine.
    address = ray.get_runtime_context().gcs_address
    try:
        list_nodes(address=address, limit=1, timeout=30)
    except Exception as error:
        raise ServiceError(
            "Ray's dashboard does not answer, and Tune needs it to free the processors of a "
            "finished trial: start Ray with --include-dashboard true"
        ) from error


def trials_of(folder: Path) -> list[Trial]:
    """The trials of a search that have done an epoch, by name."""
    from xmodal.storage import read_json

    found = []
    for path in sorted((folder / "trials").glob("*/point.json")):
        history, point = read_history(path.parent), read_json(path)
        assert isinstance(point, dict)
        if history:
            best = max(row[OBJECTIVE] for row in history)
            found.append(Trial(path.parent.name, point, best, len(history)))
    return found


@contextmanager
def _followed(folder: Path, report: ReportTrial) -> Iterator[None]:
    """As `history.followed`, of all trials."""
    seen: set[tuple[str, int]] = set()

    def report_new() -> None:
        for path in sorted((folder / "trials").glob("*")):
            for row in read_history(path):
                key = (path.name, int(row["epoch"]))
                if key not in seen:
                    seen.add(key)
                    report(path.name, row, key[1])

    with polled(report_new):
        yield


def _checkpoint(folder: Path, trial: Trial) -> str:
    """The folder of the trial's best checkpoint."""
    kept = train.Result.from_path(str(folder / "trials" / trial.name)).get_best_checkpoint(
        OBJECTIVE, "max"
    )
    assert kept is not None
    return str(kept.path)


def _hush() -> None:
    """Our own lines tell of the trials; Tune's tables and Optuna's log would stand between them."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _tune_config(settings: "Settings", room: Room, first: dict[str, Any] | None) -> tune.TuneConfig:
    return tune.TuneConfig(
        metric=OBJECTIVE,
        mode="max",
        search_alg=OptunaSearch(
            points_to_evaluate=None if first is None else [first], seed=settings.seed
        ),
        scheduler=ASHAScheduler(
            time_attr=EPOCHS_DONE,
            max_t=settings.training.epochs,
            # A third of the way the warm-up is over, and the order of trials seldom changes.
            grace_period=max(1, settings.training.epochs // 3),
            reduction_factor=2,
        ),
        num_samples=settings.tuning.trials,
        max_concurrent_trials=room.trials,
    )


def _domain(settings: "Settings", item: "SpaceItem") -> Any:
    """Tune's form of one dimension."""
    from xmodal.training.space import current

    if item.choices:
        return tune.choice(list(item.choices))
    assert item.low is not None
    assert item.high is not None
    if isinstance(current(settings, item.setting), int):
        draw = tune.lograndint if item.log else tune.randint
        return draw(round(item.low), round(item.high) + 1)
    return (tune.loguniform if item.log else tune.uniform)(item.low, item.high)


def _trial(config: dict[str, Any]) -> None:
    """One trial, in a process of its own: a Train run at a point of the space."""
    from xmodal.storage import write_json_atomic
    from xmodal.training.prepare import load_plan
    from xmodal.training.space import at_point

    folder, worker_cpus = Path(config.pop("folder")), config.pop("worker_cpus")
    plan = at_point(load_plan(folder), config)
    name = f"trial-{tune.get_context().get_trial_id()}"
    place = folder / "trials" / name
    place.mkdir(parents=True, exist_ok=True)
    write_json_atomic(place / "point.json", config)
    fit_run(plan, place.parent, name, worker_cpus, callbacks=[TuneReportCallback()])


def _cores(cpus: float) -> int:
    """Real cores: of this machine where the cluster is this machine, else as the nodes say."""
    alone = sum(node["Alive"] for node in ray.nodes()) == 1
    return min(int(cpus), os.cpu_count() or 1) if alone else int(cpus)
