"""Fine-tune the matcher on the home's catalogue: python jobs/train.py --config configs/demo.yaml

Reads the catalogue that jobs/ingest.py took in. Leaves <home>/runs/<run>/matcher (the best epoch
by retrieval on `val`), the same with a reranker in <home>/runs/<run>/reranked/matcher, and what
there was before tuning in <home>/base/matcher. Run it again with the same settings, or the same
--run, and it goes on where it stopped.
"""

import sys
from collections.abc import Sequence

from xmodal.console import Job, job_parser, next_job, run_job, say, step, table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns its exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", metavar="NAME", help="the run's name; made of the settings if not")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.catalog.store import current_catalog
    from xmodal.ray_session import gather_gpus, ray_session

    catalog = current_catalog(job.home)
    catalog.check_trainable()
    with ray_session(job.settings):
        gather_gpus(job.settings, say)
        from xmodal.registry.flow import Flow
        from xmodal.registry.trained import train_tracked
        from xmodal.training.baseline import make_base
        from xmodal.training.names import run_name

        run = job.args.run or run_name("train", catalog, job.settings)
        step(f"train {run} on {catalog.n_products:,} products")
        result = train_tracked(job.home, catalog, job.settings, run)
        base = make_base(job.home, catalog, job.settings, run)
        trained = {"folder": str(result.folder), "run": run, "metrics": result.metrics}
        matcher = Flow.of(job.home, job.settings).rerank(catalog, trained)["folder"]
    table("left", {"matcher": matcher, "first stage alone": result.folder, "base": base})
    next_job(job, "build_index", "--matcher", matcher)
    return 0


if __name__ == "__main__":
    sys.exit(main())
