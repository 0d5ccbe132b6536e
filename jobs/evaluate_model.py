"""Judge a matcher on a file of queries, and write its run.

    python jobs/evaluate_model.py --model models:/xmodal@champion --catalog my-shop \\
        --queries queries.json --run-out run.json [--rerank] [--gallery product] [--split dev]

Reads {query: {product_id: grade}}; leaves {query: {product_id: score}}, 100 best a query. The
gallery is every product with a picture, by its pictures alone; with --gallery product by its text
too (title and attributes as the matcher weighs them, or else the title), and pictures alone beside
it. Needs no Ray; vectors that the home has are used, others are made in this process and kept.
"""

import sys
from argparse import BooleanOptionalAction
from collections.abc import Sequence
from pathlib import Path

from xmodal.console import Job, job_parser, progress, run_job, table


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, evaluate, print the figures."""
    parser = job_parser(__doc__)
    parser.add_argument(
        "--model", required=True, help="a saved matcher's folder, models:/name@alias, or base"
    )
    parser.add_argument("--catalog", required=True, metavar="DIR", help="the shop's folder")
    parser.add_argument(
        "--queries", type=Path, required=True, metavar="FILE", help="judged queries"
    )
    parser.add_argument("--run-out", type=Path, required=True, metavar="FILE", help="the run")
    parser.add_argument(
        "--rerank", action=BooleanOptionalAction, default=False, help="with the second stage"
    )
    parser.add_argument("--gallery", choices=("image", "product"), default="image")
    parser.add_argument("--split", metavar="NAME", help="search the products of this split alone")
    return run_job(parser, argv, _run)


def _run(job: Job) -> int:
    from xmodal.catalog.judged import read_queries
    from xmodal.evaluation.gallery import open_gallery
    from xmodal.evaluation.places import find_catalog, find_vectors, quarantined
    from xmodal.evaluation.single import beside_pictures, evaluate_file
    from xmodal.matcher.saved import load_matcher
    from xmodal.registry.named import matcher_folder
    from xmodal.storage import write_json_atomic

    args, settings = job.args, job.settings
    matcher = load_matcher(matcher_folder(args.model, job.home, settings))
    with progress("ingest", 1.0) as bar:
        catalog = find_catalog(args.catalog, job.home, settings, bar.advance)
    known = set(catalog.products(["product_id"])["product_id"].to_pylist())
    queries = read_queries(args.queries, known, quarantined(catalog))
    with progress("embed", catalog.n_products) as bar:
        store = find_vectors(job.home, matcher, catalog, bar.advance)
    place = catalog, store, matcher.encoder, args.gallery, args.split
    gallery = open_gallery(*place, weights=matcher.fields)
    candidates = settings.reranker.candidates if args.rerank else 0
    found = evaluate_file(matcher, queries, catalog, gallery, store, candidates=candidates)
    write_json_atomic(args.run_out, found.run)
    given = {"split": args.split, "candidates": candidates}
    is_text = args.gallery == "product"
    beside = beside_pictures(found, matcher, queries, catalog, store, **given) if is_text else {}
    table(
        f"{args.model} on {args.queries.name}",
        {
            "gallery": f"{len(gallery.shown)} products, {args.gallery}",
            "queries": f"{len(found.run)}, with a relevant product in the gallery: {found.judged}",
            "judgements outside the gallery": found.outside,
            "reranked": f"{candidates} a query" if candidates else "no",
            **{name: f"{value:.4f}" for name, value in found.means.items()},
            **{f"{name} against pictures alone": one.said for name, one in beside.items()},
            "run": args.run_out,
        },
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
