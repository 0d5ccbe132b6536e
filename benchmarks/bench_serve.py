"""How near is the service to its machine? Throughput and latency under load, against two floors.

    python benchmarks/bench_serve.py [--config configs/demo.yaml] [--seconds 8] [--out FILE]

Text queries, rerank of `serve.rerank_depth`, on the home's release. Floors: the bare kernels on
ready tensors (text forward, index search, reranker forward), and `Searcher` called directly in this
process at the best number of callers of a sweep. Subjects: the service over HTTP (one that is up,
else it is started and ended), and the same `Searcher` behind FastAPI and uvicorn, as a peer. The
load comes from this process, whose CPU is shared by all alike; nothing is asked twice.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"
CALLERS = (1, 2, 4, 8, 16, 32)
DEADLINE_MS = 60_000
PEER_PORT = 8765
Ask = Callable[[str], Awaitable[bool]]  # one query; whether it was answered whole


def main() -> int:
    """Measure floors, service and peer in one run; print ratios first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cold:
        asyncio.run(_open(options.config))
        return 0
    if options.peer:
        return _serve_peer(options.config)
    result = asyncio.run(_measure(options.config, options.seconds))
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


async def _measure(config: Path, seconds: float) -> dict[str, object]:
    from xmodal import fingerprint
    from xmodal.layers import resolve_home

    started = time.perf_counter()
    subprocess.run([sys.executable, __file__, "--cold", "--config", str(config)], check=True)
    cold_s = time.perf_counter() - started
    shelf, settings = await _open(config)
    texts = _texts(shelf)
    kernels_ms = _kernels_ms(resolve_home(settings, config), texts, settings.serve.rerank_depth)
    direct = await _sweep(_direct(shelf), texts, seconds)
    del shelf  # its memory, and its threads, are the service's now
    is_ours = "up already" not in _run("serve.up", config)
    try:
        url = f"http://{settings.serve.host}:{settings.serve.port}/v1/search"
        http = await _http(url, texts, seconds)
    finally:
        if is_ours:
            _run("serve.down", config)
    peer = await _peer(config, texts, seconds)
    single_ms = direct["by_callers"][1]["p50_ms"]
    return {
        "ratios": {
            "single query over its kernels (bar 1.25)": single_ms / sum(kernels_ms.values()),
            "throughput over the floor (bar 0.70)": http["best_per_s"] / direct["best_per_s"],
            "p50 of one client over the floor's (bar 1.5)": http["by_callers"][1]["p50_ms"]
            / single_ms,
            "p99 at 70 % over p50 of one client (bar 4)": http["at_70"]["p99_ms"]
            / http["by_callers"][1]["p50_ms"],
            "throughput over FastAPI and uvicorn (bar 1)": http["best_per_s"] / peer["best_per_s"],
        },
        "cold_start_s": cold_s,
        "kernels_ms": kernels_ms,
        "floor": direct,
        "service": http,
        "peer": peer,
        "queries": f"{len(texts):,} texts, none asked twice in a measurement",
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
        "code": fingerprint.code_version(),
    }


async def _open(config: Path) -> tuple[Any, Any]:
    """The home's release as a replica opens it: imports, proofs and warming included."""
    import torch

    from serve.shelves import fused
    from xmodal.layers import load_settings, resolve_home
    from xmodal.registry.pointer import read_pointer

    settings = load_settings(config)
    home = resolve_home(settings, config)
    torch.set_num_threads(os.cpu_count() or 1)
    release = read_pointer(home)
    assert release is not None
    return await fused(home, settings.serve.rerank_depth)(release), settings


def _texts(shelf: Any) -> list[str]:
    """Every judged query and title of the shop: so many that none is asked twice."""
    found: dict[str, None] = {}
    for part in ("dev", "val", "test"):
        found |= dict.fromkeys(shelf.catalog.judged(part).queries.values())
    titles = shelf.catalog.products(["title"])["title"].to_pylist()
    return list(found | dict.fromkeys(title for title in titles if title))


def _kernels_ms(home: Path, texts: list[str], depth: int) -> dict[str, float]:
    """Median milliseconds of the bare forwards and the search, one query on ready tensors."""
    import numpy as np
    import torch

    from serve.shelves import parts_of
    from xmodal.index.version import open_index
    from xmodal.matcher.saved import load_matcher
    from xmodal.registry.pointer import read_pointer
    from xmodal.search.opened import towers_of

    release = read_pointer(home)
    assert release is not None
    parts = parts_of(home, release)
    matcher = load_matcher(parts.matcher)
    towers, index = (
        towers_of(parts, matcher.encoder),
        open_index(parts.index, matcher.facts.encoder),
    )
    took: dict[str, list[float]] = {"text forward": [], "index search": [], "reranker forward": []}
    for text in texts[:100]:
        tokens = towers.inputs.texts([text])
        with torch.inference_mode():
            vector_BD, text_ms = _timed(lambda t=tokens: towers.encode_text(t))
            # An index with texts among its rows has a coordinate more.
            vector_1D = np.pad(vector_BD.numpy(), ((0, 0), (0, index.vectors.d - index.dim)))
            hits, index_ms = _timed(lambda v=vector_1D: index.vectors.search(v, depth))
            took["text forward"].append(text_ms)
            took["index search"].append(index_ms)
            if (reranker := matcher.reranker) is not None:
                query = {"vector_BD": vector_BD, "words_BW": tokens["words_BW"]}
                given = (
                    query,
                    torch.from_numpy(hits[0]),
                    torch.from_numpy(index.tokens.take(hits[1])),
                )
                _, rerank_ms = _timed(lambda g=given, r=reranker: r(*g))
                took["reranker forward"].append(rerank_ms)
    return {name: statistics.median(values[10:]) for name, values in took.items() if values}


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = work()
    return found, (time.perf_counter() - start) * 1000


def _direct(shelf: Any) -> Ask:
    from xmodal.search.query import Query

    async def ask(text: str) -> bool:
        answer = await shelf.searcher.answer(Query(text=text), time.time() + DEADLINE_MS / 1000)
        return not answer.degraded

    return ask


async def _http(url: str, texts: list[str], seconds: float) -> dict[str, Any]:
    """A sweep of callers over HTTP, then arrivals at 70 % of the best throughput."""
    import aiohttp

    limit = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limit) as session:

        async def ask(text: str) -> bool:
            body = {"text": text, "deadline_ms": DEADLINE_MS}
            async with session.post(url, json=body) as answer:
                found = await answer.json()
                return answer.status == 200 and not found["degraded"]

        found = await _sweep(ask, texts, seconds)
        found["at_70"] = await _arrivals(ask, texts, 0.7 * found["best_per_s"], 2 * seconds)
    return found


async def _sweep(ask: Ask, texts: list[str], seconds: float) -> dict[str, Any]:
    """Answers a second and latency by the number of callers that wait for each other."""
    for text in texts[:20]:
        await ask(text)
    numbers = count(20)
    by_callers = {n: await _load(ask, texts, numbers, n, seconds) for n in CALLERS}
    best = max(by_callers, key=lambda callers: by_callers[callers]["per_s"])
    return {
        "best_per_s": by_callers[best]["per_s"],
        "best_callers": best,
        "by_callers": by_callers,
    }


async def _load(
    ask: Ask, texts: list[str], numbers: Iterator[int], callers: int, seconds: float
) -> dict[str, float]:
    took_ms, lost = list[float](), list[str]()
    until = time.perf_counter() + seconds

    async def caller() -> None:
        while time.perf_counter() < until:
            text = texts[next(numbers) % len(texts)]
            start = time.perf_counter()
            if not await ask(text):
                lost.append(text)
            took_ms.append((time.perf_counter() - start) * 1000)

    start = time.perf_counter()
    await asyncio.gather(*[caller() for _ in range(callers)])
    return {"per_s": len(took_ms) / (time.perf_counter() - start), **_spread(took_ms, lost)}


async def _arrivals(ask: Ask, texts: list[str], per_s: float, seconds: float) -> dict[str, float]:
    """Open load: queries come at random times, whether or not others are still waiting."""
    took_ms, lost = list[float](), list[str]()

    async def one(text: str) -> None:
        start = time.perf_counter()
        if not await ask(text):
            lost.append(text)
        took_ms.append((time.perf_counter() - start) * 1000)

    tasks = []
    for text, gap_s in zip(reversed(texts), _gaps(per_s, seconds), strict=False):
        tasks.append(asyncio.create_task(one(text)))
        await asyncio.sleep(gap_s)
    await asyncio.gather(*tasks)
    return {"per_s": per_s, **_spread(took_ms, lost)}


def _gaps(per_s: float, seconds: float) -> Iterator[float]:
    import numpy as np

    rng, total = np.random.default_rng(0), 0.0
    while total < seconds:
        gap = float(rng.exponential(1 / per_s))
        total += gap
        yield gap


def _spread(took_ms: list[float], lost: list[str]) -> dict[str, float]:
    ordered = sorted(took_ms)
    return {
        "p50_ms": statistics.median(ordered),
        "p99_ms": ordered[int(len(ordered) * 0.99) - 1],
        "answers": len(ordered),
        "degraded_or_refused": len(lost),
    }


async def _peer(config: Path, texts: list[str], seconds: float) -> dict[str, Any]:
    """The same `Searcher` behind FastAPI on one uvicorn process, which batches as it does here."""
    import aiohttp

    command = [sys.executable, __file__, "--peer", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{PEER_PORT}/v1/search"
            async with aiohttp.ClientSession() as session:
                for _ in range(600):
                    try:
                        async with session.post(url, json={"text": texts[0]}) as answer:
                            await answer.json()
                        break
                    except aiohttp.ClientConnectionError:
                        await asyncio.sleep(0.2)
            return await _http(url, texts, seconds)
        finally:
            process.terminate()


def _serve_peer(config: Path) -> int:
    import uvicorn
    from fastapi import FastAPI

    shelf, _ = asyncio.run(_open(config))
    api = FastAPI()
    from xmodal.search.query import Query

    @api.post("/v1/search")
    async def search(body: dict[str, Any]) -> dict[str, Any]:
        until = time.time() + DEADLINE_MS / 1000
        answer = await shelf.searcher.answer(Query(text=body["text"]), until)
        hits = [{"product_id": hit.product_id, "score": hit.score} for hit in answer.hits]
        return {"hits": hits, "degraded": list(answer.degraded)}

    uvicorn.run(api, host="127.0.0.1", port=PEER_PORT, log_level="error")
    return 0


def _run(module: str, config: Path) -> str:
    command = [sys.executable, "-m", module, "--config", str(config)]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
