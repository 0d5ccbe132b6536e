"""Which change of the recipe helps? Each is trained by the plain torch loop, several at once.

    python benchmarks/quality/race.py HOME CHANGES.json OUT.csv [--queries FOLDER] [--at-once 3]

HOME holds an ingested catalogue. CHANGES.json is a list of `{"change": name, "set": {setting:
value}, "shares": {source: share}, "seeds": 3}`; `set` names settings such as `training.ema`,
`shares` how often captions of a source are drawn. Without Ray, on the GPU where there is one.
Choices are to be made by the `val_` columns; with `--queries` (title and Chinese queries of `dev`,
see `README.md`) the `dev_` columns are reported beside them.
"""

import argparse
import csv
import json
import multiprocessing as mp
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from xmodal.catalog.store import Catalog
    from xmodal.matcher.encoder import Encoder
    from xmodal.retrieval.metrics import Qrels
    from xmodal.settings import Settings
    from xmodal.training.prepare import TrainPlan

FIRST = "race-first"  # a run that gives its start to all
PEAK_FLOPS = 989e12  # bf16 without sparsity, of an H100 or H200
Row = dict[str, Any]


def main() -> int:
    """Prepare each change, train it with each seed, write a row a change."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("home", type=Path)
    parser.add_argument("changes", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--queries", type=Path)
    parser.add_argument("--at-once", type=int, default=3)
    options = parser.parse_args()
    changes = json.loads(options.changes.read_text("utf-8"))
    _prepare(options.home, changes[0], FIRST)  # the caches that all share
    rows: dict[str, list[Row]] = {}
    with ProcessPoolExecutor(
        options.at_once, mp.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        started = [
            (one["change"], pool.submit(_race, options.home, one, seed, options.queries))
            for one in changes
            for seed in range(one.get("seeds", 1))
        ]
        for name, future in started:
            try:
                row = future.result()
            except Exception as error:  # noqa: BLE001  # one change that fails stops no other
                sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
                continue
            rows.setdefault(name, []).append(row)
            sys.stdout.write(f"{name}: {json.dumps(row)}\n")
            sys.stdout.flush()
            _write(options.out, rows)
    return 0


def _settings(changes: Mapping[str, Any]) -> "Settings":
    from xmodal.layers import load_settings

    given = {"training.workers": 1, "tuning.trials": 0, **changes}
    texts = {name: v if isinstance(v, str) else json.dumps(v) for name, v in given.items()}
    return load_settings(None, [f"{name}={text}" for name, text in texts.items()], {})


def _prepare(home: Path, change: Row, run: str) -> "TrainPlan":
    from xmodal.catalog.store import current_catalog
    from xmodal.matcher.saved import load_encoder
    from xmodal.retrieval.embed import FeatureStore, embed_here
    from xmodal.retrieval.store import Plan
    from xmodal.training import captions
    from xmodal.training.prepare import prepare

    captions.SOURCE_SHARES = {**captions.SOURCE_SHARES, **change.get("shares", {})}
    catalog = current_catalog(home)
    start, mine = (home / "runs" / name / "start" for name in (FIRST, run))
    if start.exists() and mine != start:
        shutil.copytree(start, mine, dirs_exist_ok=True)

    def embed(encoder: Path, folder: Path, key: str) -> FeatureStore:
        fingerprint = catalog.manifest.fingerprint
        plan = Plan("trunk", key, fingerprint, catalog.n_products)
        folder.mkdir(parents=True, exist_ok=True)
        return embed_here(load_encoder(encoder), catalog, folder, plan)

    return prepare(home, catalog, _settings(change["set"]), run, embed)


def _race(home: Path, change: Row, seed: int, queries: Path | None) -> Row:
    """Train one change and judge its best epoch by `val`."""
    from dataclasses import replace

    import torch

    from xmodal import fingerprint
    from xmodal.catalog.store import current_catalog
    from xmodal.training.worker import train_worker

    torch.set_num_threads(2)
    run = f"race-{fingerprint.of_json([change, seed])}"
    plan = replace(_prepare(home, change, run), seed=seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    best: dict[str, Any] = {"map": -1.0, "state": None}

    def keep(trainee: Any, metrics: Mapping[str, float]) -> None:
        if metrics["map"] > best["map"]:
            state = {k: v.detach().clone() for k, v in trainee.encoder.trained_state().items()}
            best.update(map=metrics["map"], state=state)

    started = time.perf_counter()
    trainee = train_worker(plan, device, lambda model: model, keep)
    took_s = time.perf_counter() - started
    history = trainee.progress.history
    train_s = sum(row["train_s"] for row in history)
    flops = _step_flops(plan, device)
    steps = sum(row["train_s"] * row["pairs_per_s"] for row in history) / plan.training["batch"]
    encoder = trainee.encoder
    encoder.load_trained_state(best["state"])
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return {
        "epochs": len(history),
        "train_s": round(took_s, 1),
        "pairs_per_s": round(statistics.median(row["pairs_per_s"] for row in history)),
        "memory_gib": round(memory, 2),
        "tflop_a_step": round(flops / 1e12, 3),
        "mfu": round(flops * steps / train_s / PEAK_FLOPS, 5),
        **_judge(encoder.eval(), current_catalog(home), Path(plan.images), queries),
    }


def _step_flops(plan: "TrainPlan", device: Any) -> float:
    """Floating-point operations of one step, forward and backward, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    from xmodal.settings import TrainingSettings
    from xmodal.training.loop import train_step
    from xmodal.training.worker import make_sampler, make_trainee

    recipe = TrainingSettings(**plan.training)
    sampler = make_sampler(plan, recipe)
    trainee = make_trainee(plan, recipe, sampler.steps, device, lambda model: model)
    batch = next(sampler.epoch(0)).to(device)
    with FlopCounterMode(display=False) as counter:
        train_step(trainee, batch, recipe)
    return float(counter.get_total_flops())


def _judge(encoder: "Encoder", catalog: "Catalog", images: Path, queries: Path | None) -> Row:
    """Figures on `val`, and on `dev` where its queries are given; galleries are pictures alone."""
    import numpy as np

    from xmodal.retrieval.embed import open_store, trunk_features

    store = open_store(images)
    parts = list(trunk_features(encoder, store, 0, catalog.n_products, "vector"))
    vector_ND = np.concatenate([part.arrays["vector"] for part in parts])
    product_N = np.concatenate([part.product_row for part in parts])
    table = catalog.products(["product_id", "split", "attributes"])
    ids, split = table["product_id"].to_pylist(), np.array(table["split"].to_pylist())
    judged = catalog.judged("val")
    titles = {judged.queries[q]: judged.qrels[q] for q in judged.queries}
    learnt = {p for p, part in zip(ids, split, strict=True) if part == "train"}
    # Train products of an asked title are no answers, and are not shown: they were learnt with it.
    titles = {q: {p: g for p, g in found.items() if p not in learnt} for q, found in titles.items()}
    hidden = learnt & {p for found in judged.qrels.values() for p in found}
    shown_N = ~np.isin(np.array(ids)[product_N], list(hidden))
    attributes = [dict(row or ()) for row in table["attributes"].to_pylist()]

    def ask(qrels: "Qrels", part: str | None) -> dict[str, float]:
        if part == "shown":
            kept = np.flatnonzero(shown_N)
        else:
            kept = slice(None) if part is None else np.flatnonzero(split[product_N] == part)
        return _figures(encoder, vector_ND[kept], product_N[kept], ids, qrels)

    found = _row("val", ask, titles, "shown")
    found |= _row("val_type", ask, _types(ids, split, attributes, "val"), "val")
    if queries is not None:
        read = lambda name: json.loads((queries / name).read_text("utf-8"))  # noqa: E731
        found |= _row("dev", ask, read("dev-text-image.json"), None)
        found |= _row("dev_zh", ask, read("dev-zh-attributes.json"), "dev")
        found |= _row("dev_type", ask, _types(ids, split, attributes, "dev"), "dev")
    return found


def _row(
    name: str,
    ask: Callable[["Qrels", str | None], dict[str, float]],
    qrels: "Qrels",
    part: str | None,
) -> Row:
    means = ask(qrels, part)
    wanted = ("ndcg@10",) if part in ("val", "dev") else ("recall@10", "mrr@10")
    return {f"{name}_{metric.replace('recall', 'r')}": round(means[metric], 4) for metric in wanted}


def _types(
    ids: list[str], split: "np.ndarray", attributes: list[dict[str, str]], part: str
) -> "Qrels":
    """Each kind of product as a query; all products of the part that are of it are relevant."""
    from xmodal.catalog.captions import describe

    kind, found = describe(attributes).kind, dict[str, dict[str, int]]()
    for product, where, values in zip(ids, split, attributes, strict=True):
        if kind is not None and where == part and values.get(kind):
            found.setdefault(values[kind], {})[product] = 1
    return found


def _figures(
    encoder: "Encoder",
    vector_ND: "np.ndarray",
    product_N: "np.ndarray",
    ids: list[str],
    qrels: "Qrels",
) -> dict[str, float]:
    from xmodal.retrieval.embed import embed_texts
    from xmodal.retrieval.metrics import means, per_query
    from xmodal.retrieval.topk import topk_products

    names = list(qrels)
    scores, rows = topk_products(embed_texts(encoder, names), vector_ND, product_N, 100)
    run = {
        name: {ids[r]: float(s) for r, s in zip(rows[q], scores[q], strict=True) if r >= 0}
        for q, name in enumerate(names)
    }
    return means(per_query(run, qrels))


def _write(out: Path, rows: Mapping[str, list[Row]]) -> None:
    """A row a change: means over its seeds, and the spread of what chooses."""
    lines = []
    for name, runs in rows.items():
        mean = {key: round(statistics.fmean(run[key] for run in runs), 4) for key in runs[0]}
        values = [run["val_r@10"] for run in runs]
        lines.append(
            {"change": name, "seeds": len(runs), **mean, "val_spread": max(values) - min(values)}
        )
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    sys.exit(main())
