"""The evaluation as the pipeline runs it: base against tuned against reranked, tracked.

Leaves `<home>/reports/<run>/` with `report.html`, `metrics.json` and `queries.csv`, all of them
with the run in MLflow too.
"""

from pathlib import Path

from xmodal.catalog.store import Catalog
from xmodal.console import progress, say, table
from xmodal.evaluation.analyses import analyse
from xmodal.evaluation.health import check_judged, query_groups
from xmodal.evaluation.judge import Contender, Evaluation, evaluate
from xmodal.evaluation.places import find_vectors
from xmodal.evaluation.report import write_report
from xmodal.evaluation.sections import Judged
from xmodal.findings import Finding, keep_findings, read_findings
from xmodal.fingerprint import code_version
from xmodal.matcher.saved import load_matcher
from xmodal.registry.stages import Record
from xmodal.registry.tracked import tracked
from xmodal.settings import Settings
from xmodal.training.history import read_history

REPORT = "report/report.html"  # among the run's artifacts
PARTS = ("val", "dev", "test")
SHOWN = ("recall@1", "recall@10", "mrr@10", "ndcg@10")


def evaluate_tracked(
    home: Path, catalog: Catalog, settings: Settings, run: str, folders: dict[str, Path]
) -> Record:
    """Judge the saved matchers `{name: folder}`, the one to compare with first.

    Returns:
        {"report": path, "means": {part: {system: {metric: value}}}} of text queries on pictures.
    """
    contenders = []
    for name, folder in folders.items():
        matcher = load_matcher(folder)
        with progress(f"embed for {name}", catalog.n_products) as bar:
            store = find_vectors(home, matcher, catalog, bar.advance)
        contenders.append(Contender(name, matcher, store))
    with tracked(home, settings, catalog, run) as record:
        with progress("evaluate", 1.0) as bar:
            found = evaluate(contenders, catalog, PARTS, settings, bar.advance)
        facts = {"run": run, "code": code_version(), "base": settings.matcher.base}
        trained = home / "runs" / run
        judged = Judged(
            contenders, catalog, found, settings, _doctored(trained), read_history(trained)
        )
        sections = analyse(judged)
        for finding in (seen := check_judged(found, query_groups(found))):
            say(finding.line())
        keep_findings(home / "runs" / run, seen, "judged")
        report = write_report(home / "reports" / run, found, catalog, facts, sections)
        means = text_means(found)
        for part, systems in means.items():
            for system, values in systems.items():
                record.metrics({f"{part}/{system}/{name}": v for name, v in values.items()})
        record.artifact(report.parent, "report")
    for part, systems in means.items():
        table(
            f"{part}: text queries, gallery of pictures", {s: _line(v) for s, v in systems.items()}
        )
    return {"report": str(report), "means": means}


def _doctored(folder: Path) -> list[Finding]:
    """What the doctor found before and during the run: the section sees the rest anew."""
    return [one for one in read_findings(folder) if one.when in ("before", "during")]


def text_means(found: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Means of text queries on pictures, by part and system."""
    means: dict[str, dict[str, dict[str, float]]] = {}
    for one in found.results:
        if one.task == "text-image":
            means.setdefault(one.part, {})[one.system] = one.means
    return means


def _line(means: dict[str, float]) -> str:
    return "  ".join(f"{name} {means[name]:.3f}" for name in SHOWN)
