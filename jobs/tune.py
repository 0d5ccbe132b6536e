"""Search better settings of the training: python jobs/tune.py --config configs/demo.yaml

Reads the home's catalogue and `tuning.space`. Each trial is one training run; ASHA ends the
hopeless ones early. Leaves the best trial's best epoch in <home>/runs/<run>/matcher. Run it
again with the same settings, or the same --run, and it goes on where it stopped.

    python jobs/tune.py --config configs/demo.yaml --pareto [MODEL]

With --pareto: what the best trial's matcher, or MODEL without any search, can be made to cost. Each
combination of form (jobs/export.py), dimensions, code bits and, with a reranker, rerank depth
answers queries of `val`; the table marks those that no other beats in MRR@10, milliseconds and
bytes. Leaves <home>/reports/<run>/pareto.json.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from xmodal.console import Job, job_parser, next_job, run_job, say, step, table

SEARCHED = ""  # --pareto without a name


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns its exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", metavar="NAME", help="the run's name; made of the settings if not")
    parser.add_argument(
        "--pareto",
        nargs="?",
        const=SEARCHED,
        metavar="MODEL",
        help="measure quality against the cost of serving; of MODEL (a saved matcher's folder, "
        "models:/name@alias, or base) without a search",
    )
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    if job.args.pareto in (None, SEARCHED):
        return _search(job)
    from xmodal.registry.named import matcher_folder

    return _weigh(job, matcher_folder(job.args.pareto, job.home, job.settings))


def _search(job: Job) -> int:
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
    if job.args.pareto and result.folder is not None:
        _weigh(job, result.folder)
    next_job(job, "build_index", "--matcher", result.folder)
    return 0


def _weigh(job: Job, folder: Path) -> int:
    from xmodal.catalog.store import current_catalog
    from xmodal.registry.weighed import weigh_tracked

    step(f"ways to serve {folder}")
    found = weigh_tracked(job.home, current_catalog(job.home), job.settings, folder)
    say(f"all of them: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
