"""Let the gate judge the newest candidate, and move the one release pointer; or move it back.

    python jobs/promote.py --config configs/demo.yaml [--rollback]

Reads `releases/candidate.json` that jobs/pipeline.py left. Leaves `releases/<id>.json` and the
moved `releases/pointer.json`, which a running service follows within two seconds. A refused
candidate is a result, not an error: the champion stays, the reasons are printed, exit 0.
"""

import sys
from collections.abc import Sequence

from xmodal.console import Job, job_parser, next_command, run_job, table


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, promote or roll back, print what is live."""
    parser = job_parser(__doc__)
    parser.add_argument("--rollback", action="store_true", help="back to the release before")
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
    outcome = promote(job.home, tracker, candidate, resamples=job.settings.evaluation.bootstrap)
    table("gate", outcome.summary())
    next_command(f"make serve CONFIG={job.config or 'configs/demo.yaml'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
