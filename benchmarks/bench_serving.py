"""What does HTTP and Ray Serve add to a search? One client, text, rerank of 50.

    python benchmarks/bench_serving.py [--config configs/demo.yaml] [--queries 300] [--out FILE]

Subject: POST /v1/search of the home's release, over HAProxy and one replica. Floor: the same
`Searcher` called in this process, on the same release, same queries, in turns after a warm-up.
A service that is up is used; else one is started, and ended afterwards.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"


def main() -> int:
    """Measure both in turns; print ratio, medians and spread."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from xmodal.client import Client
    from xmodal.layers import load_settings, resolve_home

    settings = load_settings(options.config)
    home = resolve_home(settings, options.config)
    is_ours = _start(options.config)
    try:
        with Client(f"http://{settings.serve.host}:{settings.serve.port}") as client:
            result = asyncio.run(_compare(client, home, settings, options.queries))
    finally:
        if is_ours:
            _run("serve.down", options.config)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


async def _compare(client: Any, home: Path, settings: Any, count: int) -> dict[str, object]:
    import torch

    from serve.shelves import fused
    from xmodal import fingerprint
    from xmodal.registry.pointer import read_pointer
    from xmodal.search.query import Query

    # As the replica has them: one process, all cores.
    torch.set_num_threads(os.cpu_count() or 1)
    release = read_pointer(home)
    assert release is not None
    assert release.id == client.release()
    shelf = await fused(home, settings.serve.rerank_depth)(release)
    texts = _texts(shelf.catalog, count)
    took_ms: dict[str, list[float]] = {"http": [], "direct": []}
    degraded = 0
    for text in [*texts[:20], *texts]:
        start = time.perf_counter()
        answer = client.search(text, deadline_ms=60_000)
        middle = time.perf_counter()
        direct = await shelf.searcher.answer(Query(text=text), time.time() + 60)
        took_ms["direct"].append((time.perf_counter() - middle) * 1000)
        took_ms["http"].append((middle - start) * 1000)
        degraded += bool(answer.degraded or direct.degraded)
        assert [hit.product_id for hit in answer.hits] == [hit.product_id for hit in direct.hits]
    timed = {name: sorted(values[20:]) for name, values in took_ms.items()}
    p50 = {name: statistics.median(values) for name, values in timed.items()}
    return {
        "ratio": round(p50["http"] / p50["direct"], 2),
        "p50_ms": {name: round(value, 2) for name, value in p50.items()},
        "p95_ms": {name: round(v[int(len(v) * 0.95)], 2) for name, v in timed.items()},
        "queries": len(texts),
        "degraded": degraded,
        "products": shelf.live.products.count,
        "reranked": settings.serve.rerank_depth if shelf.searcher.reranker else 0,
        "release": release.id,
        "code": fingerprint.code_version(),
    }


def _texts(catalog: Any, count: int) -> list[str]:
    """Judged queries of `dev`, else of `val`, repeated to `count`."""
    found = list(catalog.judged("dev").queries.values() or catalog.judged("val").queries.values())
    found = found or ["red shoe", "blue shirt"]
    return [found[number % len(found)] for number in range(count)]


def _start(config: Path) -> bool:
    """Whether a service had to be started."""
    before = _run("serve.up", config)
    return "up already" not in before


def _run(module: str, config: Path) -> str:
    command = [sys.executable, "-m", module, "--config", str(config)]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
