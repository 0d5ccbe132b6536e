"""The stages of the whole job, each a method that does one thing once (`stages.py`).

    catalog -> train, tune -> the better one -> rerank -> evaluate -> register -> index -> measure

Needs a Ray session. `jobs/pipeline.py` calls them in order; what they leave lies in the home.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xmodal.catalog.ingest import ingest
from xmodal.catalog.store import Catalog
from xmodal.catalog.summary import rows_of
from xmodal.console import progress, say, step, table
from xmodal.errors import CatalogError, IndexDamaged, IndexMismatch, MatcherError
from xmodal.evaluation.tasks import unlearnt
from xmodal.findings import Finding, keep_findings
from xmodal.fingerprint import of_json
from xmodal.index.ray_build import embed_and_build
from xmodal.index.version import open_index
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.parity import check_reload_parity
from xmodal.matcher.saved import load_encoder, load_matcher, read_facts
from xmodal.registry.judged import REPORT, SHOWN, evaluate_tracked
from xmodal.registry.measure import measure, sample
from xmodal.registry.pointer import MatcherVersion
from xmodal.registry.promotion import (
    Candidate,
    find_champion,
    is_measured,
    save_candidate,
    save_measured,
)
from xmodal.registry.releases import VersionFacts, find_version, has_version, register
from xmodal.registry.runs import Tracker
from xmodal.registry.stages import Record, Stages
from xmodal.registry.tracked import tracked
from xmodal.registry.trained import rerank_tracked, train_tracked, tune_tracked
from xmodal.retrieval.metrics import means, per_query, without
from xmodal.retrieval.ray_embed import embed_matcher
from xmodal.retrieval.store import vector_folder
from xmodal.search.hybrid import measure_hybrid
from xmodal.settings import Settings
from xmodal.training.baseline import make_base
from xmodal.training.names import run_name
from xmodal.training.ray_train import OBJECTIVE
from xmodal.training.space import check_space

MODEL = "xmodal"


@dataclass(frozen=True)
class Flow:
    """One pipeline over one home."""

    home: Path
    settings: Settings
    stages: Stages

    @classmethod
    def of(cls, home: Path, settings: Settings) -> "Flow":
        """A flow that shows its stages on the console.

        Raises:
            SettingsError: the search's space names what cannot be searched.
        """
        if settings.tuning.trials:
            check_space(settings)
        return cls(home, settings, Stages(home, announce=step, say=say))

    def catalog(self) -> Catalog:
        """The shop's folder, taken in (an unchanged one is only looked at).

        Raises:
            CatalogError: there is none, or nothing can be trained on it.
        """
        path = self.settings.catalog.path
        if path is None:
            raise CatalogError("no catalogue: make shop CATALOG=<folder>, or set catalog.path")
        step(f"ingest {path}")
        with progress("ingest", 1.0) as bar:
            summary = ingest(
                path, self.settings.catalog, self.home, self.settings.seed, bar.advance
            )
        for note in summary.notes:
            say(note)
        table("catalogue", rows_of(summary))
        summary.catalog.check_trainable()
        return summary.catalog

    def train(self, catalog: Catalog) -> Record:
        """The encoder, fine-tuned with the settings as they stand: {folder, run, metrics}."""
        run = run_name("train", catalog, self.settings)

        def work() -> Record:
            result = train_tracked(self.home, catalog, self.settings, run)
            return {"folder": str(result.folder), "run": run, "metrics": result.metrics}

        return self.stages.run("train", run, work)

    def tune(self, catalog: Catalog, trained: Record) -> Record:
        """The better of `trained` and the best trial, by MRR on `val`; `trained` without trials."""
        if self.settings.tuning.trials == 0:
            return trained
        run = run_name("tune", catalog, self.settings)

        def work() -> Record:
            known = _objective(trained)
            result = tune_tracked(self.home, catalog, self.settings, run, to_beat=known)
            folder = None if result.folder is None else str(result.folder)
            return {"folder": folder, "run": run, "metrics": result.metrics}

        best = max(trained, self.stages.run("tune", run, work), key=_objective)
        say(f"goes on with {best['run']}: {OBJECTIVE} {_objective(best):.4f} on val")
        return best

    def rerank(self, catalog: Catalog, trained: Record) -> Record:
        """`trained` with a reranker beside its encoder: {folder, run, metrics}."""
        folder, run = Path(trained["folder"]), str(trained["run"])
        made_of = [catalog.manifest.fingerprint, read_facts(folder).encoder]
        calibrated = [self.settings.evaluation.false_alarm_rate, self.settings.serve.rerank_depth]
        inputs = [*made_of, self._tree["reranker"], calibrated]

        def work() -> Record:
            matcher = rerank_tracked(self.home, catalog, self.settings, run, folder)
            return {**trained, "folder": str(matcher)}

        return self.stages.run("rerank", inputs, work)

    def base(self, catalog: Catalog, trained: Record) -> Path:
        """What a user has before tuning, as a saved matcher."""
        step("base")  # not a stage of its own: the home has one base, which knows what it is of
        return make_base(self.home, catalog, self.settings, str(trained["run"]))

    def embed(self, catalog: Catalog, matcher: Path) -> Record:
        """Vectors and tokens of the whole catalogue, which evaluation and index share."""
        encoder, data = read_facts(matcher).encoder, catalog.manifest.fingerprint

        def work() -> Record:
            with progress("embed", catalog.n_products) as bar:
                actors = self.settings.index.actors
                embed_matcher(self.home, catalog, matcher, actors=actors, progress=bar.advance)
            return {"folder": str(vector_folder(self.home, encoder, data))}

        return self.stages.run("embed", [data, encoder], work)

    def evaluate(self, catalog: Catalog, base: Path, trained: Record) -> Record:
        """Base, tuned and reranked judged on every part with queries; the report."""
        run, matcher = str(trained["run"]), Path(str(trained["folder"]))
        facts = read_facts(matcher)
        made_of = [read_facts(base).encoder, *facts.parts]
        inputs = [*made_of, self._tree["evaluation"], self._tree["reranker"]]
        folders = {"base": base, "tuned": matcher}

        def work() -> Record:
            return evaluate_tracked(self.home, catalog, self.settings, run, folders)

        return self.stages.run("evaluate", [catalog.manifest.fingerprint, inputs], work)

    def register(self, catalog: Catalog, trained: Record, judged: Record) -> MatcherVersion:
        """The matcher as the `@challenger`, once a fresh process reads it the same."""
        folder = Path(str(trained["folder"]))
        facts = read_facts(folder)
        inputs = [*facts.parts, self.settings.tracking.uri]

        def work() -> Record:
            encoder = load_encoder(folder / "encoder")
            worst = self._reloaded(str(trained["run"]), folder, encoder)
            say(f"a fresh process gives the same vectors (largest difference {worst:.1e})")
            with tracked(self.home, self.settings, catalog, str(trained["run"])) as run:
                about = VersionFacts(
                    _describe(catalog, judged, run.page(REPORT)),
                    {
                        "catalog": catalog.manifest.id,
                        "base": self.settings.matcher.base,
                        "report": f"runs:/{run.id}/{REPORT}",
                    },
                    facts.evaluation,
                    encoder.dim,
                )
                fingerprint = of_json(facts.parts)
                version = register(run, MODEL, folder, fingerprint, home=self.home, facts=about)
            return {**vars(version)}

        return MatcherVersion(
            **_strings(self.stages.run("register", inputs, work, self._is_registered))
        )

    def find_version(self, matcher: Path) -> MatcherVersion | None:
        """The registered version of the saved matcher in that folder; None where it has none."""
        facts, tracker = read_facts(matcher), Tracker(self.home, self.settings.tracking.uri)
        fingerprint = of_json(facts.parts)
        return find_version(tracker, MODEL, matcher, fingerprint, home=self.home)

    def index(self, catalog: Catalog, matcher: Path) -> Record:
        """An index version of the catalogue by this matcher: {id, folder}."""
        encoder = read_facts(matcher).encoder

        def work() -> Record:
            reranker = load_matcher(matcher).reranker
            with progress("embed", catalog.n_products) as bar:
                index = embed_and_build(
                    self.home,
                    catalog,
                    matcher,
                    actors=self.settings.index.actors,
                    progress=bar.advance,
                    measure_words=partial(measure_hybrid, reranker=reranker),
                )
            return {"id": index.facts.id, "folder": str(self.home / "indexes" / index.facts.id)}

        def is_whole(record: Record) -> bool:
            try:
                open_index(Path(str(record["folder"])), encoder)
            except (IndexDamaged, IndexMismatch) as problem:
                say(f"built anew: {problem}")
                return False
            return True

        return self.stages.run("index", [catalog.manifest.fingerprint, encoder], work, is_whole)

    def measure(self, catalog: Catalog, matcher: MatcherVersion, index: Record) -> Candidate:
        """The pair judged end to end on `val`, and kept as the newest candidate.

        The champion is judged beside it, where it was not on the same queries at the same depth.
        """
        candidate = self._measured(catalog, matcher, str(index["id"]))
        champion = find_champion(self.home, candidate)
        if champion is not None and not is_measured(self.home, champion, candidate):
            try:
                theirs = self._measured(catalog, champion.matcher, champion.index)
                save_measured(self.home, theirs)
            except (IndexDamaged, IndexMismatch, MatcherError) as problem:
                say(f"the champion {champion.id} cannot be measured: {problem}")
        save_candidate(self.home, candidate)
        return candidate

    def summary(self) -> dict[str, str]:
        """Rows for the job's table: how long each stage took."""
        took = self.stages.took_s.items()
        return {name: f"{seconds:.0f} s" if seconds else "as before" for name, seconds in took}

    def _reloaded(self, run: str, folder: Path, encoder: Encoder) -> float:
        """`check_reload_parity`, what it refuses being a finding of the run too."""
        try:
            worst = check_reload_parity(folder, encoder)
        except MatcherError as problem:
            mend = "do not serve it; save the matcher again, and report what differs"
            finding = Finding("reload-differs", "severe", "reloaded", str(problem), mend)
            keep_findings(self.home / "runs" / run, [finding], "reloaded")
            raise
        keep_findings(self.home / "runs" / run, [], "reloaded")
        return worst

    @property
    def _tree(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json")

    def _is_registered(self, record: Record) -> bool:
        tracker = Tracker(self.home, self.settings.tracking.uri)
        return has_version(tracker, MatcherVersion(**_strings(record)))

    def _measured(self, catalog: Catalog, matcher: MatcherVersion, index: str) -> Candidate:
        judged, depth = catalog.judged("val"), self.settings.serve.rerank_depth
        queries = sample(judged.queries)
        qrels, learnt = unlearnt(judged, catalog.ids_of("train"))
        drawn = of_json([queries, {query: sorted(learnt.get(query, ())) for query in queries}])
        inputs = [catalog.manifest.fingerprint, matcher.fingerprint, index, depth, drawn]

        def work() -> Record:
            folders = self.home / matcher.folder, self.home / "indexes" / index
            with progress("measure", len(queries)) as bar:
                found = measure(*folders, queries, depth=depth, progress=bar.advance)
            run = without(found.run, learnt)
            table_ = per_query(run, {query: qrels[query] for query in queries})
            took = {"p50_ms": found.p50_ms, "p95_ms": found.p95_ms}
            return {"per_query": table_, "means": means(table_), **took}

        record = self.stages.run("measure", inputs, work)
        return Candidate(
            matcher=matcher,
            index=index,
            catalog=catalog.manifest.id,
            depth=depth,
            sample=drawn,
            per_query=record["per_query"],
            p50_ms=record["p50_ms"],
        )


def _objective(record: Record) -> float:
    return float(record["metrics"][OBJECTIVE])


def _describe(catalog: Catalog, judged: Record, page: str) -> str:
    """Markdown for the version's page: the shop, what each system reaches on it, the report."""
    manifest = catalog.manifest
    shop = f"`{Path(manifest.source).name}`: {manifest.n_products:,} products"
    lines = [
        f"Trained on {shop}, {manifest.n_images:,} pictures. Text queries, gallery of pictures.",
        f"The [report]({page}) has the verdict, intervals, slices and examples.",
        "",
        f"| part | system | {' | '.join(SHOWN)} |",
        f"|---|---|{'---|' * len(SHOWN)}",
    ]
    for part, systems in judged["means"].items():
        for system, values in systems.items():
            figures = " | ".join(f"{values[name]:.4f}" for name in SHOWN)
            lines.append(f"| {part} | {system} | {figures} |")
    return "\n".join(lines)


def _strings(record: Record) -> dict[str, str]:
    return {key: str(value) for key, value in record.items()}
