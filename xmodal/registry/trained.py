"""Training and tuning as jobs run them: tracked in MLflow, shown on the console.

jobs/train.py, jobs/tune.py and the pipeline call these; the training itself knows neither.
Needs a Ray session.
"""

from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.console import progress, say, table
from xmodal.findings import DOCTOR_FILE, verdict
from xmodal.matcher.saved import load_matcher, save_matcher
from xmodal.registry.tracked import tracked
from xmodal.retrieval.ray_embed import embed_matcher
from xmodal.settings import Settings
from xmodal.training.budget import Clock
from xmodal.training.calibrate import calibrate
from xmodal.training.fields import fit_fields
from xmodal.training.history import Metrics, epoch_line
from xmodal.training.prepare import load_plan
from xmodal.training.ray_train import OBJECTIVE, TrainResult, train_encoder
from xmodal.training.ray_tune import TuneResult, tune_encoder
from xmodal.training.rerank import train_reranker


def train_tracked(home: Path, catalog: Catalog, settings: Settings, run: str) -> TrainResult:
    """Fine-tune as `run`; the same run of a home goes on where it stopped."""
    with (
        tracked(home, settings, catalog, run) as record,
        progress("cache features", 1.0) as bar,
    ):

        def report(metrics: Metrics, epoch: int) -> None:
            record.metrics(metrics, epoch)
            if settings.epoch_budget:
                clock.keep()
            say(epoch_line(metrics, load_plan(home / "runs" / run).training["epochs"]))

        clock = Clock(home / "runs" / run)
        result = train_encoder(
            home,
            catalog,
            settings,
            run,
            report,
            progress=bar.advance,
            on_finding=lambda finding: say(finding.line()),
        )
        record.findings(result.findings, home / "runs" / run / DOCTOR_FILE)
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
    say(verdict(result.findings))
    return result


def rerank_tracked(
    home: Path, catalog: Catalog, settings: Settings, run: str, encoder_only: Path
) -> Path:
    """The saved matcher `encoder_only` with a reranker trained beside it, in a folder of its own.

    Vectors and tokens of the catalogue are made where they are not there yet.
    """
    folder = home / "runs" / run / "reranked" / "matcher"
    with progress("embed", catalog.n_products) as bar:
        actors = settings.index.actors
        store = embed_matcher(home, catalog, encoder_only, actors=actors, progress=bar.advance)
    matcher = load_matcher(encoder_only)
    with tracked(home, settings, catalog, run) as record:

        def report(metrics: Metrics, epoch: int) -> None:
            record.metrics({f"rerank/{name}": value for name, value in metrics.items()}, epoch)
            shown = ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
            say(f"epoch {epoch + 1}/{settings.reranker.epochs}: {shown}")

        reranker, fusion = train_reranker(matcher.encoder, catalog, store, settings, report)
        worth = calibrate(matcher.encoder, reranker, catalog, store, settings)
        if worth is not None:
            record.metrics({f"calibration/{name}": value for name, value in worth.figures.items()})
        fields = fit_fields(matcher.encoder, catalog, store, settings)
        if fields is not None:
            told = dict(fields.weights) | dict(fields.figures)
            record.metrics({f"fields/{name}": value for name, value in told.items()})
    table("what each term of the reranker is trusted", fusion.rows())
    if worth is not None:
        table("what its scores are worth, on val queries not fitted on", worth.rows())
    if fields is not None:
        table("what each field counts in a product's vector", fields.rows())
    save_matcher(folder, matcher.encoder, reranker, matcher.facts, worth, fields=fields)
    return folder


def tune_tracked(
    home: Path, catalog: Catalog, settings: Settings, run: str, *, to_beat: float | None = None
) -> TuneResult:
    """Search `tuning.space` as `run`; the same run of a home goes on where it stopped.

    `to_beat`: what the settings as they stand reached, which are then not tried again.
    """
    with (
        tracked(home, settings, catalog, run) as record,
        progress("cache features", 1.0) as bar,
    ):

        def report(trial: str, metrics: Metrics, epoch: int) -> None:
            shown = {f"{trial}/{name}": v for name, v in metrics.items() if "@" in name}
            record.metrics(shown, epoch)
            say(f"{trial}: {epoch_line(metrics, settings.training.epochs)}")

        result = tune_encoder(
            home,
            catalog,
            settings,
            run,
            report,
            progress=bar.advance,
            to_beat=to_beat,
        )
    trials = sorted(result.trials, key=lambda trial: -trial.best)
    rows = {t.name: f"val {OBJECTIVE} {t.best:.4f}  {t.point}" for t in trials}
    table("trials, best first", rows)
    return result
