"""Put the reports of several seeds together: the mean of each figure and its spread.

    python jobs/seeds.py runs/a/metrics.json runs/b/metrics.json [--out seeds.json]

Reads the `metrics.json` of reports of one catalogue, each trained with another seed; prints mean
and standard deviation of the headline figures, and leaves all of them in --out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from xmodal.console import Job, job_parser, run_job, table

SHOWN = ("recall@1", "recall@10", "mrr@10", "ndcg@10", "map")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, put together, print."""
    parser = job_parser(__doc__)
    parser.add_argument("reports", nargs="+", type=Path, metavar="METRICS", help="metrics.json")
    parser.add_argument("--out", type=Path, metavar="FILE", help="all figures, as JSON")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.evaluation.seeds import spread
    from xmodal.storage import write_json_atomic

    found = spread(job.args.reports)
    rows = {
        f"{part} {task} {system} {metric}": f"{one.mean:.4f} ± {one.deviation:.4f}"
        for (part, task, system, metric), one in found.items()
        if metric in SHOWN
    }
    table(f"mean ± standard deviation over {len(job.args.reports)} runs", rows)
    if job.args.out:
        plain = [
            {
                "part": key[0],
                "task": key[1],
                "system": key[2],
                "metric": key[3],
                "mean": one.mean,
                "deviation": one.deviation,
                "values": one.values,
            }
            for key, one in found.items()
        ]
        write_json_atomic(job.args.out, plain)
    return 0


if __name__ == "__main__":
    sys.exit(main())
