"""Embed the home's catalogue with a saved matcher and publish an index version.

    python jobs/build_index.py --config configs/demo.yaml --matcher <folder>

Reads the home's catalogue, the products that were put in and taken out over HTTP since, and the
matcher's folder (that of the live release if not given); leaves `<home>/indexes/<id>/`, which has
proven itself, and the catalogue with those changes. What was embedded before is kept. The pair
of a registered matcher and its index is measured too, and left for jobs/promote.py to judge.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from xmodal.console import Job, job_parser, next_job, run_job, table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns the exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--matcher", type=Path, metavar="DIR", help="a saved matcher's folder")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.catalog.fold import fold_changes
    from xmodal.catalog.store import current_catalog
    from xmodal.index.layout import read_facts
    from xmodal.ray_session import ray_session, set_flags

    set_flags()
    from xmodal.registry.flow import Flow

    catalog, matcher = fold_changes(job.home, current_catalog(job.home)), _matcher(job)
    flow = Flow.of(job.home, job.settings)
    with ray_session(job.settings):
        index = flow.index(catalog, matcher)
    facts = read_facts(Path(index["folder"]))
    table(f"index {facts.id}", facts.summary())
    version = flow.find_version(matcher)
    if version is None:  # the gate judges what the registry knows
        next_job(job, "pipeline")
        return 0
    flow.measure(catalog, version, index)
    next_job(job, "promote")
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
