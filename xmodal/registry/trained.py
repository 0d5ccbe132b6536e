"""Training and tuning as jobs run them: tracked in MLflow, shown on the console.

jobs/train.py, jobs/tune.py and the pipeline call these; the training itself knows neither.
Needs a Ray session.
"""

from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.console import progress, say, table
from xmodal.registry.tracked import tracked
from xmodal.settings import Settings
from xmodal.training.history import Metrics, epoch_line
from xmodal.training.ray_train import TrainResult, train_encoder
from xmodal.training.ray_tune import TuneResult, tune_encoder


def train_tracked(home: Path, catalog: Catalog, settings: Settings, run: str) -> TrainResult:
    """Fine-tune as `run`; the same run of a home goes on where it stopped."""
    with (
        tracked(home, settings, catalog, run) as record,
        progress("cache features", catalog.n_products) as bar,
    ):

        def report(metrics: Metrics, epoch: int) -> None:
            record.metrics(metrics, epoch)
            say(epoch_line(metrics, settings.training.epochs))

        result = train_encoder(home, catalog, settings, run, report, progress=bar.advance)
    best = {name: f"{result.metrics[name]:.4f}" for name in ("mrr@10", "recall@10", "recall@1")}
    table(
        f"run {run}",
        {
            **result.facts,
            **{f"val {name}": value for name, value in best.items()},
            "best epoch": f"{result.metrics['epoch'] + 1:.0f} of {len(result.history)}",
            "waiting for data": f"{result.data_wait_share:.1%} of the training time",
        },
    )
    return result


def tune_tracked(home: Path, catalog: Catalog, settings: Settings, run: str) -> TuneResult:
    """Search `tuning.space` as `run`; the same run of a home goes on where it stopped."""
    with (
        tracked(home, settings, catalog, run) as record,
        progress("cache features", catalog.n_products) as bar,
    ):

        def report(trial: str, metrics: Metrics, epoch: int) -> None:
            shown = {f"{trial}/{name}": v for name, v in metrics.items() if "@" in name}
            record.metrics(shown, epoch)
            say(f"{trial}: {epoch_line(metrics, settings.training.epochs)}")

        result = tune_encoder(home, catalog, settings, run, report, progress=bar.advance)
    trials = sorted(result.trials, key=lambda trial: -trial.best)
    table("trials, best first", {t.name: f"val MRR {t.best:.4f}  {t.point}" for t in trials})
    return result
