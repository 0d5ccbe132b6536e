"""How much faster is the forward that ships than eager torch as a newcomer writes it?

    python benchmarks/bench_forward.py [--rounds 12] [--batches 6] [--out forward.json]

Both give the same vectors of the same pictures (batch 32, 128 x 96). The floor: the same towers as
timm makes them, contiguous tensors, torch's own threads, the default allocator. The subject:
`matcher/fast.py`. Each in a process of its own, on both cores, in turns after a warm-up.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path

BATCH = 32
SIZE = (128, 96)
THREADS = 2


def main() -> int:
    """Run both in turns; print ratio, medians and spread."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--role", choices=["floor", "fast"], help=argparse.SUPPRESS)
    parser.add_argument("--vectors", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        return _serve(options.role, options.vectors, options.batches)
    result = _compare(options.rounds, options.batches)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


def _compare(rounds: int, batches: int) -> dict[str, object]:
    import torch

    from xmodal import fingerprint

    rates: dict[str, list[float]] = {"floor": [], "fast": []}
    with tempfile.TemporaryDirectory() as scratch:
        files = {role: Path(scratch) / f"{role}.pt" for role in rates}
        processes = {role: _start(role, files[role], batches) for role in rates}
        for _ in range(rounds):
            for role, process in processes.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                rates[role].append(batches * BATCH / float(process.stdout.readline()))
        for process in processes.values():
            process.communicate()
        floor, fast = (torch.load(files[role], weights_only=True) for role in rates)
    median = {role: statistics.median(values) for role, values in rates.items()}
    return {
        "ratio": round(median["fast"] / median["floor"], 2),
        "images_per_s": {role: round(value, 1) for role, value in median.items()},
        "spread": {role: [round(min(v), 1), round(max(v), 1)] for role, v in rates.items()},
        "largest_difference": float((floor - fast).abs().max()),
        "rounds": rounds,
        "code": fingerprint.code_version(),
    }


def _start(role: str, vectors: Path, batches: int) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "--role", role, "--vectors", str(vectors)]
    return subprocess.Popen(
        [*command, "--batches", str(batches)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _serve(role: str, vectors: Path, batches: int) -> int:
    """One side: for each line on stdin, the seconds that `batches` batches took."""
    import torch

    from xmodal.matcher.families import make_encoder
    from xmodal.matcher.fast import fast_forward
    from xmodal.settings import MatcherSettings

    torch.manual_seed(0)
    encoder = make_encoder(MatcherSettings(base="offline", image_size=SIZE), ["red shoes"])
    pixels = torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8)
    run = fast_forward(encoder, THREADS).vectors if role == "fast" else _newcomer(encoder)
    torch.save(run(pixels), vectors)
    run(pixels)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(batches):
            run(pixels)
        sys.stdout.write(f"{time.perf_counter() - start}\n")
        sys.stdout.flush()
    return 0


def _newcomer(encoder):  # type: ignore[no-untyped-def]
    """The towers as timm makes them, fed as torchvision feeds them."""
    import torch

    plain = deepcopy(encoder)
    plain.tuned = deepcopy(plain.base)  # before training, the tuned blocks are the base's
    mean = torch.tensor(plain.spec.mean).view(1, 3, 1, 1)
    std = torch.tensor(plain.spec.std).view(1, 3, 1, 1)
    plain.normalise = lambda pixels: (pixels.float() / 255 - mean) / std
    plain.eval()

    @torch.no_grad()
    def run(pixels):  # type: ignore[no-untyped-def]
        return plain.encode_image(pixels)

    return run


if __name__ == "__main__":
    sys.exit(main())
