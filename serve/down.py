"""End what `serve.up` started for a home, by its own record; other Ray clusters are left alone.

    python -m serve.down --config configs/demo.yaml

Reads and removes `<home>/service.json`. Twice is as good as once.
"""

import sys
from collections.abc import Sequence

from xmodal.console import Job, job_parser, run_job, say


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return run_job(job_parser(__doc__), argv, _run)


def _run(job: Job) -> int:
    from serve.record import end

    names = end(job.home)
    say(f"ended: {', '.join(names)}" if names else "nothing was running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
