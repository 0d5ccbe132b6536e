"""Smaller and faster forms of a saved matcher, judged against the float model in one run.

    python jobs/export.py --config configs/demo.yaml --model models:/xmodal@champion

Reads the home's catalogue and the matcher. Measures R@10 on `val` against a sample of the pictures,
and speed in turns; a fresh process has to give the same vectors. Leaves
<home>/forms/<encoder>/<form>/ for each form that loses no more than `export.max_loss`. A refused
form is a result, not an error: nothing of it is left, the reason is printed, exit 0. Smaller
vectors (fewer dimensions, int8, sign bits) are judged beside them.
"""

import sys
from collections.abc import Sequence

from xmodal.console import Job, job_parser, run_job, say, step, table

FORMS = "onnx,int8-text,int8,pruned,pruned-int8"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, make the forms, print what each reaches and costs."""
    parser = job_parser(__doc__)
    parser.add_argument(
        "--model", required=True, help="a saved matcher's folder, models:/name@alias, or base"
    )
    parser.add_argument("--forms", default=FORMS, metavar="A,B", help=f"some of {FORMS}")
    parser.add_argument(
        "--gallery", type=int, default=2000, metavar="N", help="products that are searched"
    )
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.catalog.store import current_catalog
    from xmodal.registry.forms import export_forms
    from xmodal.registry.named import matcher_folder

    catalog = current_catalog(job.home)
    folder = matcher_folder(job.args.model, job.home, job.settings)
    forms = [name for name in job.args.forms.split(",") if name]
    step(f"export {folder}")
    found = export_forms(
        folder, catalog, job.settings, forms, home=job.home, gallery=job.args.gallery, say=say
    )
    table("sample", found.facts)
    for row in found.rows:
        table(row.name, row.summary())
    vectors = {
        one.name: f"{one.bytes_per_vector} bytes  R@10 {one.recall:.4f} (loss {one.loss:+.2%})"
        for one in found.vectors
    }
    table("vectors of the float model", vectors)
    return 0


if __name__ == "__main__":
    sys.exit(main())
