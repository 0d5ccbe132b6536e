"""Let the gate judge the newest candidate, and move the one release pointer; or move it back.

    python jobs/promote.py --config configs/demo.yaml [--rollback | --force]

Reads `releases/candidate.json` that jobs/pipeline.py or jobs/build_index.py left. Leaves
`releases/<id>.json` and the moved `releases/pointer.json`, which a running service follows within
two seconds. A refused candidate is a result, not an error: the champion stays, the reasons are
printed, exit 0. What was rolled back is refused as well, until --force says otherwise.
"""

import sys
from collections.abc import Sequence

from xmodal.console import Job, job_parser, next_serve, run_job, table


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, promote or roll back, print what is live."""
    parser = job_parser(__doc__)
    move = parser.add_mutually_exclusive_group()
    move.add_argument("--rollback", action="store_true", help="back to the release before")
    move.add_argument("--force", action="store_true", help="move whatever the gate says")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.registry.promotion import promote, read_candidate, roll_back
    from xmodal.registry.runs import Tracker

    candidate = None if job.args.rollback else read_candidate(job.home)
    tracker = Tracker(job.home, job.settings.tracking.uri)
    if candidate is None:
        release = roll_back(job.home, tracker)
        table("rolled back", {"live": release.id, "matcher": release.matcher.version})
        return 0
    resamples, force = job.settings.evaluation.bootstrap, job.args.force
    outcome = promote(job.home, tracker, candidate, resamples=resamples, force=force)
    table("gate", outcome.summary())
    next_serve(job)
    return 0


if __name__ == "__main__":
    sys.exit(main())
