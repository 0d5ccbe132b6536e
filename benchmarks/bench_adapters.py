"""What do LoRA and DoRA save against training all weights, and what do they cost in R@10?

    python benchmarks/bench_adapters.py [--products 1000] [--steps 30] [--batch 64] [--rank 8]
        [--rounds 2] [--catalog FOLDER] [--out adapters.json]

All three train both towers (the upper image blocks, the whole text tower) of the offline base on
the drawn demo shop: the same steps on the same batches, each with the learning rate that the
project derives. Each in a fresh process, in turns; a round has its own seed. Seconds are of the
step alone, its first two left out; memory is the most that the process held, until its first step
(loaded) and until its last (peak); R@10 is of the held-out queries of `val`. Takes about four
minutes on two cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xmodal.catalog.store import Catalog
    from xmodal.training.loop import Trainee

KINDS = {"all weights": "none", "LoRA": "lora", "DoRA": "dora"}
WARM = 2  # steps
TOWERS = ("tuned", "text")


def main() -> int:
    """Train all three in turns; print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--products", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--catalog", type=Path, help="an ingested catalogue; else the demo shop")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        sys.stdout.write(json.dumps(_train(options.run, options.steps, options.seed)) + "\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="adapters-") as scratch:
        result = _compare(options, Path(scratch))
    sys.stdout.write(json.dumps(result, indent=1) + "\n" + _table(result["kinds"]))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def _compare(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    from xmodal.catalog.store import open_catalog
    from xmodal.fingerprint import code_version

    load = round(os.getloadavg()[0], 1)
    catalog = open_catalog(options.catalog) if options.catalog else _draw(scratch, options.products)
    runs = {name: _prepare(scratch, catalog, kind, options) for name, kind in KINDS.items()}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
    for seed in range(options.rounds):
        for name, run in runs.items():
            found[name].append(_fresh(run, options.steps, seed))
    return {
        "kinds": {name: _summary(rounds, found["all weights"]) for name, rounds in found.items()},
        "rounds": options.rounds,
        "steps": options.steps,
        "batch": options.batch,
        "rank": options.rank,
        "products": catalog.n_products,
        "val_queries": int(found["LoRA"][0]["val_queries"]),
        "cores": os.cpu_count(),
        "load_at_start": load,
        "code": code_version(),
    }


def _draw(scratch: Path, products: int) -> "Catalog":
    """The demo shop, drawn and taken in."""
    from xmodal.catalog.demo.writer import write_demo_shop
    from xmodal.catalog.ingest import ingest
    from xmodal.settings import CatalogSettings

    shop = write_demo_shop(scratch / "shop", products)
    taken = CatalogSettings(path=str(shop), queries="queries")
    return ingest(str(shop), taken, scratch / "home", 0, lambda _: None).catalog


def _prepare(scratch: Path, catalog: "Catalog", kind: str, options: argparse.Namespace) -> Path:
    """The folder of a run that is ready for its first step; all kinds share the cached features."""
    from xmodal.matcher.saved import load_encoder
    from xmodal.retrieval.embed import FeatureStore, embed_here
    from xmodal.retrieval.store import Plan
    from xmodal.settings import Settings
    from xmodal.training.prepare import prepare

    def embed(encoder: Path, folder: Path, key: str) -> FeatureStore:
        folder.mkdir(parents=True, exist_ok=True)
        plan = Plan("trunk", key, catalog.manifest.fingerprint, catalog.n_products)
        return embed_here(load_encoder(encoder), catalog, folder, plan)

    settings = Settings.model_validate(
        {
            "matcher": {"train_text": True, "adapter": kind, "adapter_rank": options.rank},
            "training": {"batch": options.batch, "epochs": 1},
        }
    )
    prepare(scratch / "home", catalog, settings, kind, embed)
    return scratch / "home" / "runs" / kind


def _fresh(run: Path, steps: int, seed: int) -> dict[str, Any]:
    """What `_train` says, of a process of its own."""
    command = [sys.executable, __file__, "--run", str(run)]
    command += ["--steps", str(steps), "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _train(run: Path, steps: int, seed: int) -> dict[str, Any]:
    import torch

    from xmodal.matcher.parity import peak_memory_bytes
    from xmodal.settings import TrainingSettings
    from xmodal.training.held_out import load_valset
    from xmodal.training.loop import seed_epoch
    from xmodal.training.prepare import load_plan
    from xmodal.training.validate import retrieval
    from xmodal.training.worker import make_sampler, make_trainee

    cpu = torch.device("cpu")
    plan = replace(load_plan(run), seed=seed)
    recipe = TrainingSettings(**plan.training)
    sampler = make_sampler(plan, recipe)
    trainee = make_trainee(plan, recipe, steps, cpu, lambda encoder: encoder)
    seed_epoch(seed, 0)
    before = peak_memory_bytes()
    step_s, cpu_s = _steps(trainee, sampler, recipe, steps)
    peak = peak_memory_bytes()
    valset = load_valset(Path(plan.data) / "val.json")
    figures = retrieval(trainee.encoder.eval(), valset, sampler.images, sampler.texts, cpu)
    return {
        "step_s": step_s,
        "cpu_s": cpu_s,
        "loaded_bytes": before,
        "peak_bytes": peak,
        **_sizes(trainee),
        "recall@10": figures["recall@10"],
        "val_queries": figures["val_queries"],
    }


def _steps(
    trainee: "Trainee", sampler: Any, recipe: Any, steps: int
) -> tuple[list[float], list[float]]:
    """Seconds of each step and of CPU in it, without the wait for its batch."""
    from itertools import chain, count, islice

    from xmodal.training.loop import train_step

    trainee.model.train()
    batches = chain.from_iterable(sampler.epoch(epoch) for epoch in count())
    wall, cpu = [], []
    for batch in islice(batches, steps):
        started, worked = time.perf_counter(), time.process_time()
        train_step(trainee, batch, recipe)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
    return wall[WARM:], cpu[WARM:]


def _sizes(trainee: "Trainee") -> dict[str, int]:
    """Trained weights, of the towers and in all, and the bytes of what the optimiser keeps."""
    import torch

    def trained(part: Any) -> int:
        return sum(w.numel() for w in part.parameters() if w.requires_grad)

    kept = trainee.optimizer.state.values()
    tensors = [x for state in kept for x in state.values() if isinstance(x, torch.Tensor)]
    return {
        "trained_in_towers": sum(trained(getattr(trainee.encoder, name)) for name in TOWERS),
        "trained": trained(trainee.encoder),
        "optimiser_bytes": sum(x.numel() * x.element_size() for x in tensors),
    }


def _summary(rounds: list[dict[str, Any]], whole: list[dict[str, Any]]) -> dict[str, Any]:
    """Of one kind; ratios against all weights, round by round."""
    steps = [s for one in rounds for s in one["step_s"]]
    medians = [statistics.median(one["step_s"]) for one in rounds]
    others = [statistics.median(one["step_s"]) for one in whole]
    recalls = [one["recall@10"] for one in rounds]
    return {
        "step_s": round(statistics.median(steps), 3),
        "step_s_spread": [round(min(medians), 3), round(max(medians), 3)],
        "step_ratio": round(
            statistics.median(a / b for a, b in zip(medians, others, strict=True)), 2
        ),
        "cpu_s": round(statistics.median(s for one in rounds for s in one["cpu_s"]), 3),
        "loaded_mb": round(statistics.median(one["loaded_bytes"] for one in rounds) / 1e6),
        "peak_mb": round(statistics.median(one["peak_bytes"] for one in rounds) / 1e6),
        "trained_in_towers": rounds[0]["trained_in_towers"],
        "trained": rounds[0]["trained"],
        "optimiser_mb": round(rounds[0]["optimiser_bytes"] / 1e6, 1),
        "recall@10": round(statistics.mean(recalls), 4),
        "recall@10_all": [round(value, 4) for value in recalls],
    }


def _table(kinds: dict[str, dict[str, Any]]) -> str:
    head = (
        "trained",
        "s a step",
        "x",
        "CPU s",
        "loaded MB",
        "peak MB",
        "weights of towers",
        "optimiser MB",
        "R@10",
    )
    rows = [
        (
            name,
            f"{one['step_s']:.3f}",
            f"{one['step_ratio']:.2f}",
            f"{one['cpu_s']:.3f}",
            f"{one['loaded_mb']:,}",
            f"{one['peak_mb']:,}",
            f"{one['trained_in_towers']:,}",
            f"{one['optimiser_mb']:.1f}",
            f"{one['recall@10']:.4f}",
        )
        for name, one in kinds.items()
    ]
    return "".join("  ".join(f"{cell:>17}" for cell in row) + "\n" for row in (head, *rows))


if __name__ == "__main__":
    sys.exit(main())
