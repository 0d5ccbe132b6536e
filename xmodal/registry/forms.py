"""Forms of a saved matcher: made, judged against the float model in one run, kept or refused.

matcher -> onnx, int8, pruned ... in a scratch folder -> R@10, speed, parity -> <home>/forms/
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xmodal.catalog.store import Catalog
from xmodal.errors import MatcherError
from xmodal.evaluation.cost import BATCH, Eager, Fast, Speed, TwoTowers, flops, parameters, race
from xmodal.evaluation.sample import Sample, draw_sample
from xmodal.evaluation.significance import compare
from xmodal.evaluation.vector_forms import VectorForm, vector_forms
from xmodal.matcher.compress import CALIBRATION, prune, quantise_dynamic, quantise_static
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.export import export_graph
from xmodal.matcher.forms import IMAGE_FILE, INPUTS, TEXT_FILE, FormFacts, load_form
from xmodal.matcher.graphs import ImageGraph, TextGraph
from xmodal.matcher.parity import check_form_parity, memory_in_a_fresh_process
from xmodal.matcher.saved import Matcher, load_matcher
from xmodal.retrieval.metrics import PerQuery, means
from xmodal.settings import Settings
from xmodal.storage import scratch, settle
from xmodal.training.recover import recover

METRIC, KEPT = "recall@10", "kept"
# Each form's text and image tower. Int8 text: as it comes; int8 pictures: calibrated.
FORMS = {
    "onnx": ("float", "float"),
    "int8-text": ("int8", "float"),
    "int8": ("int8", "int8"),
    "pruned": ("pruned", "float"),
    "pruned-int8": ("pruned int8", "float"),
}
RECOVERY_TEXTS = 6_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """What one system reaches and costs."""

    name: str
    recall: float
    loss: float
    """Of the float model's R@10, relative; below 0: a gain."""
    interval: tuple[float, float]
    """95 % of the difference in R@10 to the float model, by a paired bootstrap."""
    text: Speed
    image: Speed
    size_bytes: int
    peak_bytes: int
    verdict: str
    folder: Path | None = None

    def summary(self) -> dict[str, str]:
        """For the job's table."""
        low, high = self.interval
        return {
            "R@10": f"{self.recall:.4f} (loss {self.loss:+.2%}; 95 %: {low:+.4f} to {high:+.4f})",
            "text": _said(self.text),
            "image": _said(self.image),
            "size": f"{self.size_bytes / 1e6:.0f} MB; a process with it needs "
            f"{self.peak_bytes / 1e6:.0f} MB",
            "verdict": f"{self.verdict} {self.folder or ''}".strip(),
        }


@dataclass(frozen=True)
class Exported:
    """A run of the export."""

    rows: list[Row]  # eager torch first, then the float model as it is served, then the forms
    vectors: list[VectorForm]  # smaller vectors of the float model
    facts: dict[str, object]


def export_forms(
    folder: Path,
    catalog: Catalog,
    settings: Settings,
    forms: Sequence[str],
    *,
    home: Path,
    gallery: int,
    say: Say,
) -> Exported:
    """Make `forms` of the matcher in `folder`; those within `export.max_loss` are kept.

    They lie in `<home>/forms/<fingerprint of the encoder>/<form>`.

    Raises:
        MatcherError: a form that we do not know, an operator that ONNX cannot hold, or a fresh
            process that does not give the same vectors.
    """
    unknown = [name for name in forms if name not in FORMS]
    if unknown:
        raise MatcherError(f"no form {unknown[0]!r}: give some of {', '.join(FORMS)}")
    matcher = load_matcher(folder)
    encoder = matcher.encoder
    sample = draw_sample(
        catalog,
        encoder.inputs,
        size=gallery,
        queries=settings.evaluation.max_queries,
        calibration=CALIBRATION,
        seed=settings.seed,
    )
    final = home / "forms" / matcher.facts.encoder
    final.mkdir(parents=True, exist_ok=True)
    with scratch(final) as work:
        maker = _Maker(matcher, folder, catalog, sample, work, settings.seed, say)
        for name in forms:
            maker.make(name)
        rows = [keep(row, work, final) for row in _judge(maker, forms, settings)]
    vectors = vector_forms(sample, *sample.vectors(encoder, encoder.inputs))
    return Exported(rows, vectors, _facts(encoder, sample, settings))


@dataclass
class _Maker:
    """Makes the towers that the forms are put together of, each once."""

    matcher: Matcher
    folder: Path
    catalog: Catalog
    sample: Sample
    work: Path
    seed: int
    say: Say
    pruned: Encoder | None = None

    def make(self, name: str) -> None:
        """Write the form `name` into the scratch folder."""
        text, image = FORMS[name]
        folder = self.work / name
        encoder = self.matcher.encoder
        (folder / INPUTS).mkdir(parents=True)
        shutil.copyfile(self._tower("text", text), folder / TEXT_FILE)
        shutil.copyfile(self._tower("image", image), folder / IMAGE_FILE)
        encoder.spec.save(folder / INPUTS / "spec.json")
        encoder.vocabulary.save(folder / INPUTS / "vocabulary.json")
        encoder.save_parts(folder / INPUTS)
        has_tokens = self.matcher.reranker is not None
        facts = FormFacts(name, self.matcher.facts.encoder, has_tokens, image)
        facts.save(folder)

    def _tower(self, tower: str, kind: str) -> Path:
        """The file of a tower: exported, or quantised from the exported one."""
        path = self.work / f"{tower} {kind}.onnx"
        if path.exists():
            return path
        self.say(f"{tower} tower: {kind}")
        with_tokens = self.matcher.reranker is not None
        if kind.endswith("int8"):
            whole = self._tower(tower, kind.removesuffix("int8").strip() or "float")
            if tower == "text":
                quantise_dynamic(whole, path)
            else:
                quantise_static(whole, path, self.sample.train_NCHW)
        elif tower == "text":
            export_graph(TextGraph(self._encoder(kind)), path)
        else:
            export_graph(ImageGraph(self.matcher.encoder, with_tokens), path)
        return path

    def _encoder(self, kind: str) -> Encoder:
        if kind == "float":
            return self.matcher.encoder
        if self.pruned is None:
            self.pruned = prune(self.matcher.encoder)
            losses = recover(
                self.pruned,
                self.matcher.encoder,
                _captions(self.catalog, self.seed),
                seed=self.seed,
            )
            self.say(
                f"recovered: 1 - cosine to the whole tower {losses[0]:.4f} -> {losses[-1]:.4f}"
            )
        return self.pruned


def _judge(maker: _Maker, forms: Sequence[str], settings: Settings) -> list[Row]:
    """Quality and speed of all systems; `eager` and `float` first."""
    encoder, sample = maker.matcher.encoder, maker.sample
    threads = torch.get_num_threads()
    systems: dict[str, TwoTowers] = {"eager": Eager(encoder), "float": Fast(encoder, threads)}
    opened = {name: load_form(maker.work / name, threads) for name in forms}
    systems |= opened
    tables: dict[str, PerQuery] = {}
    for name, towers in systems.items():
        maker.say(f"judging {name}")
        tables[name] = sample.judge(*sample.vectors(towers, encoder.inputs))
    texts = encoder.inputs.texts(list(sample.task.texts.values())[:BATCH])
    speeds = race(systems, texts, sample.pixels_NCHW[:BATCH])
    whole = maker.folder / "encoder"
    peaks = dict.fromkeys(systems, memory_in_a_fresh_process(whole))
    peaks |= {name: check_form_parity(maker.work / name, form)[1] for name, form in opened.items()}
    return [
        Row(
            name=name,
            **_quality(name, tables, settings),
            text=speeds["text"][name],
            image=speeds["image"][name],
            size_bytes=_size_bytes(maker.work / name if name in opened else whole),
            peak_bytes=peaks[name],
        )
        for name in systems
    ]


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _quality(name: str, tables: dict[str, PerQuery], settings: Settings) -> dict[str, Any]:
    """Recall, loss, interval and verdict of one system."""
    recall, float_recall = (means(tables[one])[METRIC] for one in (name, "float"))
    loss = 1 - recall / float_recall if float_recall else 0.0
    found = compare(
        tables[name][METRIC],
        tables["float"][METRIC],
        resamples=settings.evaluation.bootstrap,
        seed=settings.seed,
    )
    most = settings.export.max_loss
    verdict = "reference"
    if name in FORMS:
        verdict = KEPT if loss <= most else f"refused: loses {loss:.1%}, more than {most:.1%}"
    interval = (found.low, found.high)
    return {"recall": recall, "loss": loss, "interval": interval, "verdict": verdict}


def _said(speed: Speed) -> str:
    return (
        f"{speed.per_s:,.0f} a second ({speed.ratio:.2f} x eager), one in "
        f"{speed.latency_ms:.1f} ms, {speed.cpu_ms:.2f} ms of CPU each ({speed.cpu_ratio:.2f} x "
        "less)"
    )


def keep(row: Row, work: Path, forms: Path) -> Row:
    """Make a form that is good enough visible, with what was measured among its facts."""
    if row.verdict != KEPT:
        return row
    facts = FormFacts.load(work / row.name)
    measured = {key: value for key, value in asdict(row).items() if key not in ("folder", "name")}
    replace(facts, made=measured).save(work / row.name)
    settle(work / row.name, forms / row.name)
    return replace(row, folder=forms / row.name)


def _captions(catalog: Catalog, seed: int) -> list[str]:
    """Different captions of `train`, at most RECOVERY_TEXTS, drawn by the seed."""
    texts = list(dict.fromkeys(catalog.pairs("train")["text"].to_pylist()))
    chosen = np.random.default_rng(seed).permutation(len(texts))[:RECOVERY_TEXTS]
    return [texts[row] for row in sorted(chosen.tolist())]


def _facts(encoder: Encoder, sample: Sample, settings: Settings) -> dict[str, object]:
    texts = encoder.inputs.texts(list(sample.task.texts.values())[:BATCH])
    counted = flops(encoder, texts, sample.pixels_NCHW[:BATCH])
    return {
        "queries": f"{len(sample.task.texts)} of val",
        "gallery": f"{len(sample.product_ids)} products, by their first picture alone",
        "calibration": f"{len(sample.train_NCHW)} pictures of train",
        "parameters": parameters(encoder),
        "GFLOPs of a text": counted["text"] / 1e9,
        "GFLOPs of a picture": counted["image"] / 1e9,
        "threads": torch.get_num_threads(),
        "largest loss": settings.export.max_loss,
    }
