"""What serving a matcher can be made to cost, and what it then finds: measured, then the front.

    form x dimensions x coding x rerank depth -> Searcher on `val`, in turns -> quality, ms, bytes

Each way is asked each query, one at a time, by the path that shoppers get; quality and time are of
the same answers. Nothing is estimated.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import torch

from xmodal.catalog.store import Catalog
from xmodal.errors import CatalogError
from xmodal.evaluation.pareto import pareto_front
from xmodal.evaluation.places import find_vectors
from xmodal.evaluation.significance import Comparison, compare
from xmodal.evaluation.tasks import Task, text_task
from xmodal.evaluation.vector_forms import PREFIXES
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.forms import FACTS, Form, FormFacts, load_form
from xmodal.matcher.saved import Matcher, load_matcher
from xmodal.registry.measure import LIMIT, PATIENCE_S
from xmodal.registry.shelves import CODINGS, Coding, Shelf, ShelfRetriever, StoreTokens
from xmodal.retrieval.metrics import Run, means, per_query
from xmodal.retrieval.store import FeatureStore
from xmodal.search.opened import warm
from xmodal.search.query import Query
from xmodal.search.searcher import Searcher
from xmodal.search.stages import LocalEncoder, LocalReranker, make_pools
from xmodal.settings import Settings
from xmodal.storage import write_json_atomic

PART, METRIC = "val", "mrr@10"
DEPTHS = (0, 20, 50, 200)
QUERIES = 200
OWN = "torch"  # the towers that the matcher was saved with


@dataclass(frozen=True)
class Way:
    """A way to serve."""

    form: str
    dim: int
    coding: Coding
    depth: int

    @property
    def name(self) -> str:
        """For tables and MLflow."""
        return f"{self.form}, {self.dim} x {self.coding}, {self.depth} reranked"


@dataclass(frozen=True)
class Served:
    """What one way reaches and costs."""

    way: Way
    mrr: float
    recall: float
    p50_ms: float
    p95_ms: float
    memory_bytes: float
    """Of a product, its vectors."""
    disk_bytes: float
    """Of a product, what is read of files: exact vectors for rescoring, tokens for reranking."""
    loss: Comparison
    """Of MRR@10, against the first way."""
    is_on_front: bool = False

    @property
    def costs(self) -> tuple[float, float, float]:
        """What the front is of, each the less the better: -MRR@10, milliseconds, bytes in memory.

        Milliseconds count by two digits: what the clock says beyond them is chance.
        """
        return -self.mrr, float(f"{self.p50_ms:.2g}"), self.memory_bytes

    def summary(self) -> str:
        """A line of the job's table."""
        return (
            f"{'*' if self.is_on_front else ' '} MRR@10 {self.mrr:.4f}  R@10 {self.recall:.4f}  "
            f"{self.p50_ms:6.1f} ms (95 %: {self.p95_ms:.1f})  {self.memory_bytes:5.0f} B  "
            f"+ {self.disk_bytes:.0f} B of files"
        )


@dataclass(frozen=True)
class Tradeoffs:
    """A run of the measurement."""

    served: list[Served]  # float, all dimensions, no reranking first
    facts: dict[str, object]

    @property
    def front(self) -> list[Served]:
        """Those that no other beats in all of quality, time and memory."""
        return [one for one in self.served if one.is_on_front]

    def save(self, path: Path) -> None:
        """Write all of it as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomic(path, {"facts": self.facts, "ways": [asdict(s) for s in self.served]})


def measure_ways(
    home: Path,
    catalog: Catalog,
    settings: Settings,
    folder: Path,
    *,
    progress: Callable[[float], None] = lambda _: None,
) -> Tradeoffs:
    """Measure each way to serve the matcher in `folder`, with its kept forms, and mark the front.

    `progress` is told the share of all answers that each one is.

    Raises:
        CatalogError: no text query of `val` asks for a product with a picture.
    """
    matcher = load_matcher(folder)
    store = find_vectors(home, matcher, catalog, lambda _: None)
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    shown = {ids[row] for row in np.unique(store.product_row).tolist()}
    task = text_task(catalog.judged(PART), PART, shown, QUERIES, settings.seed)
    if task is None:
        raise CatalogError(
            f"{catalog.manifest.source}: no text query of {PART} asks for a product with a "
            "picture; give catalog.queries, or titles in val"
        )
    bench = _Bench(matcher, store, ids, _towers(home, matcher))
    runs, took_ms = asyncio.run(bench.race(task.texts, progress))
    served = [bench.judge(way, task, runs, took_ms[way], settings) for way in bench.ways]
    front = set(pareto_front([one.costs for one in served]))
    served = [replace(one, is_on_front=place in front) for place, one in enumerate(served)]
    return Tradeoffs(served, _facts(matcher, store, task, bench))


def ways_of(forms: Sequence[str], dim: int, has_reranker: bool) -> list[Way]:
    """All combinations; the first one is the plainest, float vectors without reranking."""
    dims = [dim, *(short for short in PREFIXES if short < dim)]
    depths = DEPTHS if has_reranker else DEPTHS[:1]
    return [Way(*one) for one in product(forms, dims, CODINGS, depths)]


class _Bench:
    """The searchers of all ways, which share what they can."""

    def __init__(
        self,
        matcher: Matcher,
        store: FeatureStore,
        product_ids: Sequence[str],
        towers: Mapping[str, Encoder | Form],
    ) -> None:
        self._store, self._tokens = store, StoreTokens(store)
        vector_ND = np.asarray(store.column("vector"), dtype=np.float32)
        self.ways = ways_of(list(towers), vector_ND.shape[1], matcher.reranker is not None)
        self._shelves = {
            (dim, coding): Shelf(vector_ND, dim, coding)
            for dim, coding in dict.fromkeys((way.dim, way.coding) for way in self.ways)
        }
        pools = make_pools()
        encoders = {name: LocalEncoder(one, pools) for name, one in towers.items()}
        second = None
        if matcher.reranker is not None:
            second = LocalReranker(matcher.reranker, self._tokens, pools)
        self._searchers = {
            way: Searcher(
                encoders[way.form],
                ShelfRetriever(self._shelves[way.dim, way.coding], store.product_row, product_ids),
                second if way.depth else None,
                way.depth,
            )
            for way in self.ways
        }

    async def race(
        self, texts: Mapping[str, str], progress: Callable[[float], None]
    ) -> tuple[dict[Way, Run], dict[Way, list[float]]]:
        """Answers and milliseconds of each way, all ways in turns on each query."""
        runs: dict[Way, Run] = {way: {} for way in self.ways}
        took_ms: dict[Way, list[float]] = {way: [] for way in self.ways}
        for searcher in self._searchers.values():
            await warm(searcher)
        draw = random.Random(0)
        for name, text in texts.items():
            # In another order each time: what one way leaves behind is not always the same one's.
            for way in draw.sample(self.ways, len(self.ways)):
                query = Query(text=text, limit=LIMIT)
                answer = await self._searchers[way].answer(query, time.time() + PATIENCE_S)
                runs[way][name] = {hit.product_id: hit.score for hit in answer.hits}
                took_ms[way].append(answer.took_ms["total"])
                progress(1 / (len(texts) * len(self.ways)))
        return runs, took_ms

    def judge(
        self, way: Way, task: Task, runs: Mapping[Way, Run], ms: Sequence[float], settings: Settings
    ) -> Served:
        """Quality and cost of one way."""
        table, plainest = (per_query(runs[one], task.qrels) for one in (way, self.ways[0]))
        shelf = self._shelves[way.dim, way.coding]
        pictures = self._store.rows / len(np.unique(self._store.product_row))
        files = shelf.disk_bytes + (self._tokens.bytes_per_row if way.depth else 0)
        draws = {"resamples": settings.evaluation.bootstrap, "seed": settings.seed}
        return Served(
            way=way,
            mrr=means(table)[METRIC],
            recall=means(table)["recall@10"],
            p50_ms=statistics.median(ms),
            p95_ms=sorted(ms)[int(0.95 * (len(ms) - 1))],
            memory_bytes=pictures * shelf.memory_bytes,
            disk_bytes=pictures * files,
            loss=compare(table[METRIC], plainest[METRIC], **draws),
        )


def _towers(home: Path, matcher: Matcher) -> dict[str, Encoder | Form]:
    """The matcher's own towers, and its kept forms that may answer from the same vectors."""
    towers: dict[str, Encoder | Form] = {OWN: matcher.encoder.eval()}
    if find_spec("onnxruntime") is not None:
        for path in sorted((home / "forms" / matcher.facts.encoder).glob(f"*/{FACTS}")):
            facts = FormFacts.load(path.parent)
            if facts.encoder == matcher.facts.encoder and facts.image == "float":
                towers[facts.name] = load_form(path.parent, torch.get_num_threads())
    return towers


def _facts(matcher: Matcher, store: FeatureStore, task: Task, bench: _Bench) -> dict[str, object]:
    return {
        "encoder": matcher.facts.encoder,
        "queries": f"{len(task.texts)} of {task.part}",
        "gallery": f"{len(np.unique(store.product_row))} products, {store.rows} pictures",
        "forms": ", ".join(dict.fromkeys(way.form for way in bench.ways)),
        "ways": len(bench.ways),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "front": "MRR@10, median ms of a query (two digits), bytes of a product in memory",
    }
