"""The whole job: from a shop's folder to a release, every stage done once.

    python jobs/pipeline.py --config configs/demo.yaml
    ray job submit --working-dir . -- python jobs/pipeline.py --config configs/demo.yaml

ingest, train, tune, rerank, evaluate, register, index, measure, gate, release. Leaves all of it
under the home. A second run with nothing changed does nothing again; a killed one goes on.
"""

import argparse
import sys
from collections.abc import Sequence

from xmodal.console import Job, absolute, job_parser, next_serve, run_job, say, table


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run the stages, print what is live."""
    parser = job_parser(__doc__)
    parser.add_argument("--catalog", metavar="FOLDER", help="the shop's folder (catalog.path)")
    parser.add_argument("--glossary", metavar="FILE", help="Chinese terms (catalog.glossary)")
    return run_job(parser, argv, _run, _places)


def _places(args: argparse.Namespace) -> list[tuple[str, str]]:
    given = {"catalog.path": args.catalog, "catalog.glossary": args.glossary}
    return [(name, absolute(place)) for name, place in given.items() if place]


def _run(job: Job) -> int:
    from pathlib import Path

    from xmodal.ray_session import gather_gpus, ray_session, set_flags

    home = job.home
    set_flags()
    from xmodal.registry.flow import Flow
    from xmodal.registry.promotion import promote
    from xmodal.registry.runs import Tracker

    flow = Flow.of(home, job.settings)
    catalog = flow.catalog()
    with ray_session(job.settings):
        gather_gpus(job.settings, say)
        first = flow.train(catalog)
        base = flow.base(catalog, first)
        trained = flow.rerank(catalog, flow.tune(catalog, first))
        for folder in (base, Path(trained["folder"])):
            flow.embed(catalog, folder)
        judged = flow.evaluate(catalog, base, trained)
        matcher = flow.register(catalog, trained, judged)
        index = flow.index(catalog, home / matcher.folder)
        candidate = flow.measure(catalog, matcher, index)
    resamples = job.settings.evaluation.bootstrap
    tracker = Tracker(home, job.settings.tracking.uri)
    outcome = promote(home, tracker, candidate, resamples=resamples)
    table("gate", outcome.summary())
    table("pipeline", {**flow.summary(), "home": str(home)})
    next_serve(job)
    return 0


if __name__ == "__main__":
    sys.exit(main())
