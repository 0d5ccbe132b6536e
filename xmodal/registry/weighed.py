"""The trade-offs of a saved matcher as a job shows them: measured, tracked, written as JSON."""

from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.console import progress, say, table
from xmodal.matcher.saved import read_facts
from xmodal.registry.tracked import tracked
from xmodal.registry.tradeoffs import Tradeoffs, measure_ways
from xmodal.settings import Settings

FILE = "pareto.json"


def weigh_tracked(home: Path, catalog: Catalog, settings: Settings, folder: Path) -> Path:
    """Measure the ways to serve the matcher in `folder`; gives the file with all of them.

    The file lies beside the report of the matcher's run, and with that run in MLflow.

    Raises:
        CatalogError: no text query of `val` asks for a product with a picture.
        MatcherError: no such matcher.
    """
    facts = read_facts(folder)
    run = facts.run or f"base-{facts.encoder}"
    path = home / "reports" / run / FILE
    with tracked(home, settings, catalog, run) as record:
        with progress("measure", 1.0) as bar:
            found = measure_ways(home, catalog, settings, folder, progress=bar.advance)
        found.save(path)
        for one in found.front:
            values = {"mrr@10": one.mrr, "recall@10": one.recall, "p50_ms": one.p50_ms}
            values |= {"memory_bytes": one.memory_bytes}
            record.metrics({f"pareto/{one.way.name}/{name}": v for name, v in values.items()})
        record.artifact(path)
    _show(found)
    return path


def _show(found: Tradeoffs) -> None:
    table("measured", found.facts)
    rows = sorted(found.served, key=lambda one: one.costs)
    table("ways to serve, best MRR@10 first", {one.way.name: one.summary() for one in rows})
    say(f"* no other way is as good, as fast and as small: {len(found.front)} of {len(rows)}")
