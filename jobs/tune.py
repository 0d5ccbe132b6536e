"""Search better settings of the training: python jobs/tune.py --config configs/demo.yaml

Reads the home's catalogue and `tuning.space`. Each trial is one training run; ASHA ends the
hopeless ones early. Leaves the best trial's best epoch in <home>/runs/<run>/matcher. Run it
again with the same settings, or the same --run, and it goes on where it stopped.
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
    with ray_session(job.settings):
        gather_gpus(job.settings, say)
        from xmodal.registry.trained import tune_tracked
        from xmodal.training.names import run_name

        run = job.args.run or run_name("tune", catalog, job.settings)
        step(f"tune {run}: {job.settings.tuning.trials} trials")
        result = tune_tracked(job.home, catalog, job.settings, run)
    table(f"run {run}", {**result.facts, "best": result.point, "matcher": result.folder})
    next_job(job, "build_index", "--matcher", result.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
