"""A whole catalogue to a feature store by Ray Data: an actor pool, a shard at a time.

    from_items(shards) -> map_batches(ShardWriter, 2 actors) -> shard files -> FeatureStore

Only shard numbers travel through Ray: an actor reads its rows and writes its file itself, so
memory stays flat and what is written survives a crash. A small catalogue is embedded in this
process, unless the cluster has GPUs. On several machines, catalogue, matcher and `out_folder`
lie on storage that all of them see.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy

from xmodal.catalog.store import Catalog, open_catalog
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fast import fast_forward
from xmodal.matcher.saved import encoder_fingerprint, load_encoder, save_encoder
from xmodal.retrieval.embed import embed_here, embed_shard, find_trunk
from xmodal.retrieval.store import (
    FeatureStore,
    Plan,
    Shard,
    What,
    begin_store,
    finish_store,
    is_whole,
    open_store,
    vector_folder,
)

# One heap for all threads: see `ray_session.FLAGS`, which a cluster that we joined may lack.
ACTOR_ENV = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "TOKENIZERS_PARALLELISM": "false"}
TRUNK = "named by the folder"
_ALL: What = "vector+tokens"
# Shards that are embedded in this process: actors take 10 to 20 s to start, which is longer than
# a shard of pictures takes, or several of which the trunk's features are there.
PICTURES_HERE, HEADS_HERE = 1, 8


def embed_catalog(
    catalog_path: Path,
    encoder: Path | Encoder,
    out_folder: Path,
    what: What,
    *,
    actors: int = 2,
    key: str | None = None,
    trunk: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> FeatureStore:
    """Embed every picture; a finished store of the same plan is opened, a part of one completed.

    Args:
        encoder: a saved encoder's folder, or an encoder, which is then saved for the actors.
        key: fingerprint of what the features depend on, if not the encoder's own. Trunk features
            depend on a part of it only: their folder is named after that part.
        trunk: a trunk store of this encoder and catalogue (`find_trunk`): only the heads run.
        actors: processes, one CPU and one thread each (with GPUs there: a GPU each, see `pool`).
        progress: told the products of each shard as it is done.

    Raises:
        StorageError: the disk is full.
    """
    catalog = open_catalog(catalog_path)
    out_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".encoder-", dir=out_folder) as temporary:
        folder = encoder if isinstance(encoder, Path) else Path(temporary) / "encoder"
        if isinstance(encoder, Encoder):
            save_encoder(encoder, folder)
        plan = _plan(what, key, folder, catalog)
        if is_whole(out_folder, plan):
            return open_store(out_folder)
        if len(plan.shards()) <= (HEADS_HERE if trunk else PICTURES_HERE) and not _gpus():
            here = load_encoder(folder)
            return embed_here(here, catalog, out_folder, plan, progress, trunk=trunk)
        job = {"catalog": str(catalog_path), "encoder": str(folder), "out": str(out_folder)}
        _embed_by_actors(plan, job | {"trunk": str(trunk or ""), "what": what}, actors, progress)
    return finish_store(out_folder, plan)


def _embed_by_actors(
    plan: Plan, job: dict[str, str], actors: int, progress: Callable[[int], None]
) -> None:
    shards = begin_store(Path(job["out"]), plan)
    progress(plan.n_products - sum(shard.stop - shard.start for shard in shards))
    for row in run_shards(shards, job, actors) if shards else ():
        progress(int(row["products"]))


def embed_matcher(
    home: Path,
    catalog: Catalog,
    matcher_folder: Path,
    *,
    actors: int = 2,
    progress: Callable[[int], None] = lambda _: None,
) -> FeatureStore:
    """A saved matcher's vectors and tokens of the home's catalogue, where the home keeps them.

    Made at most once, and by the heads alone where training has left the trunk's features.
    """
    folder = matcher_folder / "encoder"
    made_by, of = encoder_fingerprint(folder), catalog.manifest.fingerprint
    out, plan = vector_folder(home, made_by, of), Plan(_ALL, made_by, of, catalog.n_products)
    if is_whole(out, plan):
        return open_store(out)
    trunk = find_trunk(home, load_encoder(folder), catalog)
    return embed_catalog(
        catalog.path, folder, out, _ALL, actors=actors, trunk=trunk, progress=progress
    )


def _plan(what: What, key: str | None, encoder: Path, catalog: Catalog) -> Plan:
    made_by = key or (TRUNK if what == "trunk" else encoder_fingerprint(encoder))
    return Plan(what, made_by, catalog.manifest.fingerprint, catalog.n_products)


def run_shards(shards: list[Shard], job: dict[str, str], actors: int) -> Iterator[dict[str, Any]]:
    """Let `actors` processes write `shards`; yields a row for each as it is done.

    Args:
        job: `catalog`, `encoder`, `out`, `trunk` ("" for none): folders; and `what`.

    Yields:
        `products` of the shard, and `ready_s`: when its actor had opened the encoder (epoch).
    """
    items = [{"number": s.number, "start": s.start, "stop": s.stop} for s in shards]
    # One block a shard: blocks are what Ray Data spreads over the actors.
    data = ray.data.from_items(items, override_num_blocks=len(items))
    size, gpus = pool(min(actors, len(shards)))
    done = data.map_batches(
        ShardWriter,
        fn_constructor_kwargs={"job": job},
        batch_size=1,
        compute=ActorPoolStrategy(size=size),
        num_cpus=1,
        num_gpus=gpus,
        runtime_env={"env_vars": ACTOR_ENV},
    )
    yield from done.iter_rows()


def pool(actors: int) -> tuple[int, int]:
    """How many processes embed, and the GPUs of each: one more than there are would never start."""
    gpus = _gpus()
    return (min(actors, gpus), 1) if gpus else (actors, 0)


def _gpus() -> int:
    return int(ray.cluster_resources().get("GPU", 0))


class ShardWriter:
    """An actor: opens the encoder once, then writes one shard a call."""

    def __init__(self, job: dict[str, str]) -> None:
        import torch

        torch.set_num_threads(1)
        self._encoder = fast_forward(load_encoder(Path(job["encoder"]))).encoder
        # Outside a worker there is nothing to ask: asking would start a Ray.
        if ray.is_initialized() and ray.get_gpu_ids() and torch.cuda.is_available():
            self._encoder.to("cuda")
        self._source: Catalog | FeatureStore
        if job["trunk"]:
            self._source = open_store(Path(job["trunk"]))
        else:
            self._source = open_catalog(Path(job["catalog"]))
        self._folder = Path(job["out"])
        self._what = cast(What, job["what"])
        self._ready_s = time.time()

    def __call__(self, batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Write the shards of `batch`."""
        for places in zip(batch["number"], batch["start"], batch["stop"], strict=True):
            self.write(Shard(*(int(place) for place in places)))
        products = batch["stop"] - batch["start"]
        return {"products": products, "ready_s": np.full(len(products), self._ready_s)}

    def write(self, shard: Shard) -> int:
        """Write one shard. Returns its pictures."""
        return embed_shard(self._encoder, self._source, shard, self._folder, self._what)
