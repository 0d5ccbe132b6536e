"""How much faster does Ray Data embed a catalogue than one process with one thread?

    python benchmarks/bench_embedding.py [--pictures 4096] [--rounds 3] [--actors 2] [--out FILE]

Both run the same code (`ShardWriter`: read, decode, the shipping forward, write) on the same
pictures of 60 x 80, in turns; start-up is stated apart: for Ray Data, which starts its actors with
each run, what lies before the moment at which the first of them has its encoder open. Pass
`--catalog FOLDER` (ingested) for real pictures.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARD_PICTURES = 128


def main() -> int:
    """Measure in turns; print images/s, their ratio and the start-up of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--catalog", type=Path, help="an ingested catalogue; else drawn pictures")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--floor", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.floor:
        return _serve_floor(options.floor)
    with tempfile.TemporaryDirectory(prefix="embedding-") as scratch:
        result = _measure(options, Path(scratch))
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def _measure(options: argparse.Namespace, scratch: Path) -> dict[str, object]:
    from xmodal.catalog.store import open_catalog
    from xmodal.fingerprint import code_version

    catalog = open_catalog(options.catalog) if options.catalog else _draw(scratch, options.pictures)
    pictures = min(options.pictures, catalog.n_products)
    _save_encoder(scratch / "encoder")
    job = {"catalog": str(catalog.path), "encoder": str(scratch / "encoder"), "trunk": ""}
    job |= {"what": "vector+tokens", "products": str(pictures)}
    (scratch / "job.json").write_text(json.dumps(job), encoding="utf-8")
    floor, floor_start_s = _start_floor(scratch)
    pool = job | {"out": str(scratch / "pool")}
    ray_start_s, actors_start_s = _start_ray(options.actors), []
    took: dict[str, list[float]] = {"one process": [], "ray data": []}
    for _ in range(options.rounds):
        took["one process"].append(_ask(floor))
        work_s, start_s = _run_pool(pool, options.actors)
        took["ray data"].append(work_s)
        actors_start_s.append(start_s)
    assert floor.stdin is not None
    floor.stdin.close()
    floor.wait()
    rates = {name: [pictures / s for s in times] for name, times in took.items()}
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "ratio": round(medians["ray data"] / medians["one process"], 2),
        "images_per_s": {name: round(value, 1) for name, value in medians.items()},
        "all_rounds": {name: [round(x, 1) for x in values] for name, values in rates.items()},
        "start_up_s": {
            "one process": round(floor_start_s, 1),
            "ray": round(ray_start_s, 1),
            "actors, each run": round(statistics.median(actors_start_s), 1),
        },
        "pictures": pictures,
        "actors": options.actors,
        "cores": os.cpu_count(),
        "code": code_version(),
    }


def _start_floor(scratch: Path) -> tuple[subprocess.Popen[str], float]:
    """The one process, warmed up; and the seconds that took."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, "--floor", str(scratch / "job.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    _ask(process)
    return process, time.perf_counter() - start


def _ask(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def _serve_floor(path: Path) -> int:
    """In the one process: embed all shards per line read, and print the seconds."""
    job = json.loads(path.read_text(encoding="utf-8"))
    embed = _embedder(job | {"out": str(path.parent / "floor")})
    shards = _shards(int(job["products"]))
    embed(shards[:2])  # warm-up
    sys.stdin.readline()
    sys.stdout.write("0\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        start = time.perf_counter()
        embed(shards)
        sys.stdout.write(f"{time.perf_counter() - start}\n")
        sys.stdout.flush()
    return 0


def _start_ray(actors: int) -> float:
    """Seconds until a local cluster is up."""
    start = time.perf_counter()
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    # Ray's workers stand back (nice 15) where others want the cores: here both are to be equal.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    ray.init(
        address="local",
        num_cpus=actors + 1,
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
    )
    return time.perf_counter() - start


def _run_pool(job: dict[str, str], actors: int) -> tuple[float, float]:
    """Seconds of work, from the moment the first actor was ready; and of start-up before it.

    Ray Data starts its actors with each execution. Whatever comes after the first of them is
    ready counts as work, the second one's remaining start-up included.
    """
    from xmodal.retrieval.ray_embed import run_shards

    Path(job["out"]).mkdir(parents=True, exist_ok=True)
    begin = time.time()
    rows = list(run_shards(_shards(int(job["products"])), job, actors))
    ready = min(row["ready_s"] for row in rows)
    return time.time() - ready, ready - begin


def _embedder(job: dict[str, str]):  # type: ignore[no-untyped-def]
    from xmodal.retrieval.ray_embed import ShardWriter

    Path(job["out"]).mkdir(parents=True, exist_ok=True)
    writer = ShardWriter(job)
    return lambda shards: [writer.write(shard) for shard in shards]


def _shards(products: int):  # type: ignore[no-untyped-def]
    from xmodal.retrieval.store import Shard

    starts = range(0, products, SHARD_PICTURES)
    return [Shard(i, s, min(s + SHARD_PICTURES, products)) for i, s in enumerate(starts)]


def _save_encoder(folder: Path) -> None:
    from xmodal.matcher.families import make_encoder
    from xmodal.matcher.saved import save_encoder
    from xmodal.settings import MatcherSettings

    settings = MatcherSettings(image_size=(128, 96))
    save_encoder(make_encoder(settings, ["red shoe", "blue bag"] * 50), folder)


def _draw(scratch: Path, pictures: int):  # type: ignore[no-untyped-def]
    """A catalogue of drawn JPEGs of 60 x 80."""
    from tests.catalogs import make_catalog, make_product
    from tests.factories import make_picture

    some = [make_picture(n, (80, 60), "JPEG") for n in range(64)]
    rows = [make_product(n, product_id=f"p{n:06d}", images=[some[n % 64]]) for n in range(pictures)]
    return make_catalog(scratch / "catalog", rows)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
