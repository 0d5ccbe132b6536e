"""What do two workers win over one, on the same global batch, with one thread each?

    python benchmarks/bench_ddp.py [--rounds 6] [--steps 4] [--batch 512] [--out ddp.json]

Efficiency = (time of one worker on the batch) / (2 x time of two workers on half of it each); the
bar is 0.8. The subject is the step that trains (offline towers, features as cached, gradients and
embeddings over gloo); both run in turns in the same processes after a warm-up. Left out: what a
run of Ray Train costs once, 16 to 31 s of process start, and reading the features.
"""

import argparse
import json
import multiprocessing as mp
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xmodal.training.batches import Batch
    from xmodal.training.loop import Trainee

SEED = 0


def main() -> int:
    """Run the rounds; print efficiency, medians and spread."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    result = _compare(options.rounds, options.steps, options.batch)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


def _compare(rounds: int, steps: int, batch: int) -> dict[str, Any]:
    from xmodal.fingerprint import code_version

    context = mp.get_context("spawn")
    turn, times = context.Barrier(3), context.Queue()
    with TemporaryDirectory() as folder:
        plan = {"rounds": rounds, "steps": steps, "batch": batch, "folder": folder}
        # Number 2 is the worker that works alone; 0 and 1 are a group.
        started = [context.Process(target=_work, args=(n, plan, turn, times)) for n in range(3)]
        for process in started:
            process.start()
        found = dict(times.get() for _ in range(2))
        for process in started:
            process.join()
    one, two = found["one"], found["two"]
    ratios = [a / (2 * b) for a, b in zip(one, two, strict=True)]
    return {
        "efficiency": round(statistics.median(one) / (2 * statistics.median(two)), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "one_worker_step_s": round(statistics.median(one), 3),
        "two_workers_step_s": round(statistics.median(two), 3),
        "pairs_per_s": [round(batch / statistics.median(t)) for t in (one, two)],
        "runs": rounds,
        "steps_a_run": steps,
        "batch": batch,
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 1),
        "code": code_version(),
    }


def _work(number: int, plan: dict[str, Any], turn: Any, times: Any) -> None:
    import torch
    import torch.distributed as dist

    from xmodal.training.worker import ddp_options

    torch.set_num_threads(1)
    alone = number == 2
    if not alone:
        meet = f"file://{plan['folder']}/meet"
        dist.init_process_group("gloo", init_method=meet, rank=number, world_size=2)
    trainee, batch = _trainee(), _batch(plan["batch"], number)
    if not alone:
        trainee.model = torch.nn.parallel.DistributedDataParallel(
            trainee.encoder, **ddp_options(accumulate=1)
        )
    measured = []
    for round_no in range(plan["rounds"] + 1):
        for mine in (True, False):  # the one alone, then the two
            turn.wait()
            if alone == mine:
                took_s = _steps(trainee, batch, plan)
                measured += [took_s] if round_no else []  # the first round warms up
    turn.wait()
    if number != 1:
        times.put(("one" if alone else "two", measured))
    if not alone:
        dist.destroy_process_group()


def _steps(trainee: "Trainee", batch: "Batch", plan: dict[str, Any]) -> float:
    from xmodal.settings import TrainingSettings
    from xmodal.training.loop import train_step

    recipe = TrainingSettings(batch=plan["batch"])
    started = time.perf_counter()
    for _ in range(plan["steps"]):
        train_step(trainee, batch, recipe)
    return (time.perf_counter() - started) / plan["steps"]


def _trainee() -> "Trainee":
    import torch

    from xmodal.matcher.families import make_encoder
    from xmodal.settings import MatcherSettings
    from xmodal.training.loop import Progress, Trainee
    from xmodal.training.losses.info_nce import InfoNce
    from xmodal.training.optimise import make_optimizer, make_schedule

    torch.manual_seed(SEED)
    words = [f"word{a} word{b} shoe" for a in range(200) for b in range(60)]
    encoder = make_encoder(MatcherSettings(image_size=(128, 96)), words)
    encoder.train()
    optimizer = make_optimizer(encoder, 1e-4, 0.05)
    schedule = make_schedule(optimizer, 10_000, 0.1)
    cpu = torch.device("cpu")
    return Trainee(encoder, encoder, optimizer, schedule, Progress(), cpu, InfoNce(0.1))


def _batch(pairs: int, number: int) -> "Batch":
    """Random features of the real shapes: half the pairs for a worker of the group."""
    import torch

    from xmodal.training.batches import Batch
    from xmodal.training.losses.contract import Fits

    torch.manual_seed(SEED + 1 + number)
    rows = pairs if number == 2 else pairs // 2
    encoder = _trainee().encoder
    pixels = torch.randint(0, 256, (8, 3, 128, 96), dtype=torch.uint8)
    image = {k: v.repeat(rows // 8, *[1] * (v.ndim - 1)) for k, v in _trunk(encoder, pixels)}
    words = torch.randint(1, len(encoder.vocabulary), (rows, 16))
    none = torch.zeros(rows, pairs, dtype=torch.bool)
    first = number * rows if number < 2 else 0
    product = torch.arange(first, first + rows)
    text = {"sentence_BS": torch.randn(rows, 384), "words_BW": words}
    return Batch(text, image, product, product, Fits(none, none))


def _trunk(encoder: Any, pixels: Any) -> Any:
    return ((name, value.half()) for name, value in encoder.image_trunk(pixels).items())


if __name__ == "__main__":
    sys.exit(main())
