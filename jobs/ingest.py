"""Take a shop's folder in: python jobs/ingest.py --config configs/shop.yaml --catalog FOLDER

Reads a folder of Parquet files, or of one CSV beside images. Leaves <home>/catalogs/<id>:
products, pairs, judged queries, and in quarantine what could not be taken, with the reason.
"""

import argparse
import sys
from collections.abc import Sequence

from xmodal.console import Job, job_parser, next_job, progress, run_job, say, step, table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job; returns its exit code."""
    parser = job_parser(__doc__)
    parser.add_argument("--catalog", metavar="FOLDER", help="the shop's folder (catalog.path)")
    return run_job(parser, argv, _run, _catalog_path)


def _catalog_path(args: argparse.Namespace) -> list[tuple[str, str]]:
    return [("catalog.path", args.catalog)] if args.catalog else []


def _run(job: Job) -> int:
    from xmodal.catalog.ingest import ingest
    from xmodal.catalog.summary import rows_of
    from xmodal.errors import CatalogError

    settings = job.settings
    if settings.catalog.path is None:
        raise CatalogError("no catalogue: give --catalog <folder> or set catalog.path")
    step(f"ingest {settings.catalog.path}")
    with progress("ingest", 1.0) as bar:
        summary = ingest(
            settings.catalog.path, settings.catalog, job.home, settings.seed, bar.advance
        )
    for note in summary.notes:
        say(note)
    table("catalogue", rows_of(summary))
    if not summary.catalog.manifest.cannot_train:
        next_job(job, "train")
    return 0


if __name__ == "__main__":
    sys.exit(main())
