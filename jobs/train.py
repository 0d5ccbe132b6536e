"""Fine-tune the matcher on the home's catalogue: python jobs/train.py --config configs/demo.yaml

Reads the catalogue that jobs/ingest.py took in. Leaves <home>/runs/<run>/matcher (the best epoch
by retrieval on `val`) and, in <home>/base/matcher, what there was before tuning. Run it again
with the same settings, or the same --run, and it goes on where it stopped.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xmodal.console import Job, job_parser, next_command, progress, run_job, say, step, table

if TYPE_CHECKING:
    from xmodal.training.ray_train import TrainResult


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns its exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", metavar="NAME", help="the run's name; made of the settings if not")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.catalog.store import current_catalog
    from xmodal.ray_session import ray_session

    catalog = current_catalog(job.home)
    with ray_session(job.settings):
        from xmodal.registry.tracked import tracked
        from xmodal.training.baseline import make_base
        from xmodal.training.history import Metrics, epoch_line
        from xmodal.training.names import run_name
        from xmodal.training.ray_train import train_encoder

        run = job.args.run or run_name("train", catalog, job.settings)
        step(f"train {run} on {catalog.n_products:,} products")
        with (
            tracked(job.home, job.settings, catalog, run) as record,
            progress("cache features", catalog.n_products) as bar,
        ):

            def report(metrics: Metrics, epoch: int) -> None:
                record.metrics(metrics, epoch)
                say(epoch_line(metrics, job.settings.training.epochs))

            result = train_encoder(
                job.home, catalog, job.settings, run, report, progress=bar.advance
            )
        base = make_base(job.home, catalog, job.settings, run)
    table(f"run {run}", _rows(result) | {"matcher": result.folder, "base": base})
    config = f" --config {job.config}" if job.config else ""
    next_command(f"python jobs/build_index.py{config} --matcher {result.folder}")
    return 0


def _rows(result: "TrainResult") -> dict[str, object]:
    best = {name: f"{result.metrics[name]:.4f}" for name in ("mrr@10", "recall@10", "recall@1")}
    return {
        **result.facts,
        **{f"val {name}": value for name, value in best.items()},
        "best epoch": f"{result.metrics['epoch'] + 1:.0f} of {len(result.history)}",
        "waiting for data": f"{result.data_wait_share:.1%} of the training time",
    }


if __name__ == "__main__":
    sys.exit(main())
