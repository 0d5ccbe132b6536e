"""Ray Train wiring: hands `train_worker` a process group and a way to keep. No training logic.

    driver: prepare -> TorchTrainer -> best checkpoint -> saved matcher
    worker: train_worker(plan) -> after each epoch: report, a checkpoint from worker 0

Heavy imports stand in the functions: Ray's controller imports this module too.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import train
from ray.train.torch import TorchTrainer

from xmodal.errors import ServiceError, TrainingError
from xmodal.findings import Finding, read_findings
from xmodal.training.divergence import (
    DIVERGED_FILE,
    SHOWN,
    Diverged,
    note_divergence,
    read_divergence,
)
from xmodal.training.history import Metrics, Report, followed, write_history

if TYPE_CHECKING:
    from xmodal.catalog.store import Catalog
    from xmodal.settings import Settings
    from xmodal.training.finish import Finished
    from xmodal.training.loop import Trainee
    from xmodal.training.prepare import TrainPlan

Progress = Callable[[float], None]
OBJECTIVE = "map"  # as in loop.py, which Ray's controller need not import
# Logical CPUs of a worker: two workers and what else a job needs fit two cores.
WORKER_CPUS = 0.5


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    folder: Path  # a saved matcher, with the best epoch's encoder
    metrics: Metrics  # of the best epoch
    history: list[Metrics]
    data_wait_share: float  # of the training time, mean over epochs
    facts: dict[str, str] = field(default_factory=dict)  # what was derived, and why
    findings: list[Finding] = field(default_factory=list)  # the doctor's, of the whole run


def train_encoder(
    home: Path,
    catalog: "Catalog",
    settings: "Settings",
    run: str,
    report: Report,
    *,
    progress: Progress = lambda _: None,
    on_finding: Callable[[Finding], None] = lambda _: None,
) -> TrainResult:
    """Fine-tune on the catalogue's pairs. The same `run` of a home goes on where it stopped.

    Args:
        report: called in this process after each epoch with its figures and its number.
        progress: told the share of the features that was cached, before the first epoch.
        on_finding: told what the doctor finds, as soon as it is seen.

    Raises:
        SettingsError: the batch cannot be shared, or the run was begun with other settings.
        CatalogError: nothing to train on, or nothing to pick a checkpoint by.
        ServiceError: the cluster has not the processors that the workers need.
        UnhealthyRun: there is nothing to learn, and `training.doctor` is `stop`.
        TrainingError: the loss is no number any more; the last checkpoint is kept.
    """
    from xmodal.training.doctor.visit import Visit
    from xmodal.training.finish import finish, finished
    from xmodal.training.space import check_shares

    check_shares(settings.training)
    folder = home / "runs" / run
    plan = prepare_run(home, catalog, settings, run, progress, shares=1 + settings.tuning.trials)
    visit = Visit(plan, folder, on_finding)
    if (done := finished(folder)) is None:
        visit.before(catalog)
        with followed(folder, visit.after_epoch(report)), _told(catalog, folder):
            best, last = fit_run(plan, home / "runs", run)
        done = finish(folder, plan, best, last)
    return _result(folder, done)


def _result(folder: Path, done: "Finished") -> TrainResult:
    waits = [row["data_wait_share"] for row in done.history]
    return TrainResult(
        folder=folder / "matcher",
        metrics=done.metrics,
        history=done.history,
        data_wait_share=sum(waits) / len(waits),
        facts=done.facts,
        findings=read_findings(folder),
    )


def prepare_run(
    home: Path,
    catalog: "Catalog",
    settings: "Settings",
    run: str,
    progress: Progress = lambda _: None,
    *,
    shares: int = 1,
) -> "TrainPlan":
    """Features cached by Ray Data, pairs and `val`; see `prepare` and `within_budget`."""
    from xmodal.retrieval.embed import FeatureStore
    from xmodal.retrieval.ray_embed import embed_catalog, embed_matcher
    from xmodal.training.budget import within_budget
    from xmodal.training.picture_size import size_chooser
    from xmodal.training.prepare import TEXT_SHARE, prepare

    share, actors = (1 - TEXT_SHARE) / catalog.n_products, settings.index.actors

    def embed(encoder: Path, out: Path, key: str) -> FeatureStore:
        return embed_catalog(
            catalog.path,
            encoder,
            out,
            what="trunk",
            actors=actors,
            key=key,
            progress=lambda products: progress(share * products),
        )

    plan = prepare(
        *(home, catalog, settings, run, embed),
        embed_teacher=lambda matcher: embed_matcher(home, catalog, matcher, actors=actors),
        choose_size=size_chooser(catalog, settings, shares),
        progress=progress,
    )
    folder = home / "runs" / run
    return _gone_on(within_budget(plan, folder, catalog, settings, shares=shares), folder)


def _gone_on(plan: "TrainPlan", folder: Path) -> "TrainPlan":
    """The plan, told where a run of a smaller budget stopped, if there is one."""
    from xmodal.training.budget import shorter_run

    if (shorter := shorter_run(folder)) is None:
        return plan
    kept = train.Result.from_path(str(shorter)).checkpoint
    return replace(plan, resume="" if kept is None else str(kept.path))


def fit_run(
    plan: "TrainPlan",
    storage: Path,
    run: str,
    worker_cpus: float = WORKER_CPUS,
    callbacks: list[Any] | None = None,
) -> tuple[Path, Path]:
    """Run the workers to the end. Returns the folders of the best and of the last checkpoint.

    Raises:
        Diverged: the loss is no number any more.
    """
    check_resources(plan.training, worker_cpus)
    (storage / run / DIVERGED_FILE).unlink(missing_ok=True)
    # Ray empties a worker's reports at this interval: 2 s of default are an epoch of a small shop.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    result = TorchTrainer(
        _worker,
        train_loop_config={**plan.as_config(), "folder": str(storage / run)},
        scaling_config=train.ScalingConfig(
            num_workers=plan.training["workers"],
            use_gpu=plan.training["gpu"],
            resources_per_worker=worker_resources(plan.training, worker_cpus),
        ),
        run_config=_run_config(run, storage, plan.training["retries"], callbacks),
    ).fit()
    if (where := read_divergence(storage / run)) is not None:
        raise Diverged(where)
    best = result.get_best_checkpoint(OBJECTIVE, "max")
    assert best is not None
    assert result.checkpoint is not None
    return Path(best.path), Path(result.checkpoint.path)


def _run_config(
    run: str, storage: Path, retries: int, callbacks: list[Any] | None
) -> train.RunConfig:
    return train.RunConfig(
        name=run,
        storage_path=str(storage),
        failure_config=train.FailureConfig(max_failures=retries),
        # The best by retrieval; Ray keeps the last beside it, to resume from.
        checkpoint_config=train.CheckpointConfig(
            num_to_keep=1, checkpoint_score_attribute=OBJECTIVE
        ),
        callbacks=callbacks,
    )


def worker_resources(training: Mapping[str, Any], worker_cpus: float) -> dict[str, float]:
    """What Ray sets aside for a worker."""
    return {"GPU": 1, "CPU": 1} if training["gpu"] else {"CPU": worker_cpus}


def check_resources(training: Mapping[str, Any], worker_cpus: float) -> None:
    """Raise ServiceError where the cluster can never start the workers: Ray would wait for ever."""
    have = ray.cluster_resources()
    for name, each in worker_resources(training, worker_cpus).items():
        need = each * training["workers"]
        if have.get(name, 0) < need:
            raise ServiceError(
                f"training.workers={training['workers']} need {need:g} {name}, and the cluster has "
                f"{have.get(name, 0):g}: set training.workers or training.gpu, or add a node"
            )


def _worker(config: dict[str, Any]) -> None:
    import torch
    from ray.train.torch import get_device

    from xmodal.training.prepare import TrainPlan
    from xmodal.training.worker import train_worker

    folder = Path(config.pop("folder"))
    plan = TrainPlan(**config)
    context = train.get_context()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(max(1, (cores or 1) // context.get_local_world_size()))
    checkpoint = train.get_checkpoint()

    def keep(trainee: "Trainee", metrics: Metrics) -> None:
        _report(trainee, metrics)
        if context.get_world_rank() == 0:
            write_history(folder, trainee.progress.history)

    where = (plan.resume or None) if checkpoint is None else checkpoint.path
    try:
        train_worker(plan, get_device(), _wrap(plan), keep, where)
    except Diverged as error:
        # Told, not raised: Ray would start again from the checkpoint, and end in the same place.
        if context.get_world_rank() == 0:
            note_divergence(folder, error.where)


@contextmanager
def _told(catalog: "Catalog", folder: Path) -> Iterator[None]:
    """A divergence inside the block is told with the products' ids, not their rows."""
    try:
        yield
    except Diverged as error:
        where = error.where
        ids = catalog.products(["product_id"])["product_id"].take(where.products[:SHOWN])
        line = where.line(ids.to_pylist(), kept=str(folder) if where.epoch else "")
        raise TrainingError(line) from error


def _wrap(plan: "TrainPlan") -> Any:
    from ray.train.torch import prepare_model

    from xmodal.training.worker import ddp_options

    options = ddp_options(plan.training["accumulate"])
    return lambda model: prepare_model(model, parallel_strategy_kwargs=options)


def _report(trainee: "Trainee", metrics: Metrics) -> None:
    """Every worker reports, which is a barrier; worker 0 alone adds the checkpoint."""
    from xmodal.training.state import save_state

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if train.get_context().get_world_rank() == 0:
            save_state(trainee, Path(folder))
            checkpoint = train.Checkpoint.from_directory(folder)
        train.report(metrics, checkpoint=checkpoint)
