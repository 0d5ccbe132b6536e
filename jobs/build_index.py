"""Embed the home's catalogue with a saved matcher and publish an index version.

    python jobs/build_index.py --config configs/demo.yaml --matcher <folder>

Reads the home's catalogue and the matcher's folder (that of the live release if not given);
leaves `<home>/indexes/<id>/`, which has proven itself. What was embedded before is kept.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from xmodal.console import Job, job_parser, next_command, progress, run_job, step, table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns the exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--matcher", type=Path, metavar="DIR", help="a saved matcher's folder")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.catalog.store import current_catalog
    from xmodal.ray_session import ray_session

    catalog = current_catalog(job.home)
    matcher = _matcher(job)
    step(f"index {catalog.n_products:,} products with {matcher}")
    with ray_session(job.settings), progress("embed", catalog.n_products) as bar:
        from xmodal.index.ray_build import embed_and_build

        actors = job.settings.index.actors
        index = embed_and_build(job.home, catalog, matcher, actors=actors, progress=bar.advance)
    table(f"index {index.facts.id}", index.facts.summary())
    config = f" --config {job.config}" if job.config else ""
    next_command(f"python jobs/promote.py{config}")
    return 0


def _matcher(job: Job) -> Path:
    from xmodal.errors import MatcherError
    from xmodal.registry.pointer import read_pointer

    if job.args.matcher is not None:
        return Path(job.args.matcher).resolve()
    release = read_pointer(job.home)
    if release is None:
        raise MatcherError("nothing is released yet, so say which matcher: --matcher <folder>")
    return release.matcher_folder(job.home)


if __name__ == "__main__":
    sys.exit(main())
