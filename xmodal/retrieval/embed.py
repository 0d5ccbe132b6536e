"""Pictures and texts to features by one encoder, in one process.

    catalogue -> decoded pictures -> image_trunk -> image_head -> feature store

`ray_embed.py` runs the same `embed_shard` in many processes.
Shapes: B pictures of a batch, Q texts, D embedding.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xmodal.catalog.store import Catalog
from xmodal.errors import MatcherError
from xmodal.matcher.encoder import Encoder
from xmodal.matcher.fast import fast_forward
from xmodal.matcher.inputs import Features
from xmodal.matcher.tokens import quantise
from xmodal.retrieval.store import (
    Array,
    FeatureBatch,
    FeatureStore,
    Plan,
    Shard,
    What,
    begin_store,
    finish_store,
    is_whole,
    open_store,
    read_plan,
    write_shard,
)

__all__ = [
    "FeatureBatch",
    "FeatureStore",
    "embed_here",
    "embed_texts",
    "find_trunk",
    "image_features",
    "open_store",
]

BATCH = 64  # pictures per forward: larger ones fall out of a core's cache
_TEXTS = 256
_PROBES = 4  # pictures that prove a trunk store


def image_features(
    encoder: Encoder, catalog: Catalog, start: int, stop: int, what: What, *, batch: int = BATCH
) -> Iterator[FeatureBatch]:
    """Features of every picture of the product rows [start, stop), in the catalogue's order.

    `trunk`: what `image_trunk` gives, float16. `vector`: unit vectors (B, D), float32.
    `vector+tokens`: also `tokens` int8 (B, 16, 128) and `scale` float32 (B,).
    """
    waiting: list[tuple[int, int, bytes]] = []
    for picture in catalog.images(start, stop):
        waiting.append(picture)
        if len(waiting) == batch:
            yield _forward(encoder, waiting, what)
            waiting = []
    if waiting:
        yield _forward(encoder, waiting, what)


def trunk_features(
    encoder: Encoder, trunk: FeatureStore, start: int, stop: int, what: What
) -> Iterator[FeatureBatch]:
    """As `image_features`, by the heads alone on what an earlier pass kept of the trunk."""
    first, last = np.searchsorted(trunk.product_row, (start, stop)).tolist()
    for low in range(first, last, BATCH):
        rows = np.arange(low, min(low + BATCH, last))
        kept = {name: torch.from_numpy(x) for name, x in trunk.take(rows).items()}
        device = encoder.log_scale.device
        with _inference(encoder):
            arrays = _heads(encoder, {name: x.to(device) for name, x in kept.items()}, what)
        yield FeatureBatch(trunk.product_row[rows], trunk.image_no[rows], arrays)


def find_trunk(home: Path, encoder: Encoder, catalog: Catalog) -> Path | None:
    """A whole trunk store in the home that is this encoder's, of this catalogue; else None.

    It proves itself: the trunk of the first pictures, computed now, is what the store holds.
    """
    batches = image_features(encoder, catalog, 0, catalog.n_products, "trunk", batch=_PROBES)
    fresh = next(batches, None)
    if fresh is None:
        return None
    for folder in sorted((home / "cache").glob("*/images")):
        plan = read_plan(folder)
        if plan is None or (plan.what, plan.catalog) != ("trunk", catalog.manifest.fingerprint):
            continue
        if is_whole(folder, plan) and _holds(open_store(folder), fresh):
            return folder
    return None


def embed_shard(
    encoder: Encoder, source: Catalog | FeatureStore, shard: Shard, folder: Path, what: What
) -> int:
    """Write one shard, from the catalogue's pictures or a trunk store. Returns its pictures."""
    if isinstance(source, FeatureStore):
        batches = trunk_features(encoder, source, shard.start, shard.stop, what)
    else:
        batches = image_features(encoder, source, shard.start, shard.stop, what)
    return write_shard(folder, shard.number, batches)


def embed_here(
    encoder: Encoder,
    catalog: Catalog,
    folder: Path,
    plan: Plan,
    progress: Callable[[int], None] = lambda _: None,
    *,
    trunk: Path | None = None,
) -> FeatureStore:
    """Fill the store in `folder` in this process, without Ray; goes on where another stopped.

    Shards are spread over torch's threads. `progress` is told the products of each that is done.
    """
    if is_whole(folder, plan):
        return open_store(folder)
    source = open_store(trunk) if trunk else catalog
    fast = fast_forward(encoder).encoder
    threads = torch.get_num_threads()

    def embed(shard: Shard) -> int:
        embed_shard(fast, source, shard, folder, plan.what)
        return shard.stop - shard.start

    shards = begin_store(folder, plan)
    with ThreadPoolExecutor(threads, "embed", torch.set_num_threads, (1,)) as pool:
        for products in pool.map(embed, shards):
            progress(products)
    return finish_store(folder, plan)


@overload
def embed_texts(
    encoder: Encoder, texts: Sequence[str], batch: int = ..., what: Literal["vector"] = ...
) -> NDArray[np.float32]: ...
@overload
def embed_texts(
    encoder: Encoder, texts: Sequence[str], batch: int = ..., *, what: Literal["trunk"]
) -> dict[str, Array]: ...
def embed_texts(
    encoder: Encoder,
    texts: Sequence[str],
    batch: int = _TEXTS,
    what: Literal["vector", "trunk"] = "vector",
) -> NDArray[np.float32] | dict[str, Array]:
    """Unit vectors (Q, D) of texts, or what `text_trunk` gives for them.

    Trunk features of texts of several lengths are padded with 0 to the longest.
    """
    # Texts of about one length are read together: next to no padding is.
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    place_Q = np.argsort(order)
    chunks = [[texts[n] for n in order[low : low + batch]] for low in range(0, len(texts), batch)]
    if what == "vector":
        rows = [_text_vectors(encoder, chunk) for chunk in chunks]
        return np.concatenate([np.zeros((0, encoder.dim), np.float32), *rows])[place_Q]
    found = [_text_trunk(encoder, chunk) for chunk in chunks]
    names = found[0] if found else ()
    return {name: _stack([part[name] for part in found])[place_Q] for name in names}


def embed_pictures(encoder: Encoder, pictures: Sequence[bytes]) -> NDArray[np.float32]:
    """Unit vectors (B, D) of encoded pictures, such as query images."""
    rows = [
        _image(encoder, pictures[low : low + BATCH], "vector")["vector"].astype(np.float32)
        for low in range(0, len(pictures), BATCH)
    ]
    return np.concatenate([np.zeros((0, encoder.dim), np.float32), *rows])


def picture_features(encoder: Encoder, pictures: Sequence[bytes]) -> dict[str, Array]:
    """`vector`, `tokens` and `scale`, as `image_features` gives them, of encoded pictures.

    Raises:
        QueryError: one of them cannot be read.
    """
    parts = [
        _image(encoder, pictures[low : low + BATCH], "vector+tokens")
        for low in range(0, len(pictures), BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _forward(encoder: Encoder, pictures: list[tuple[int, int, bytes]], what: What) -> FeatureBatch:
    rows, numbers, encoded = zip(*pictures, strict=True)
    arrays = _image(encoder, encoded, what)
    return FeatureBatch(np.array(rows, np.int64), np.array(numbers, np.int64), arrays)


def _image(encoder: Encoder, encoded: Sequence[bytes], what: What) -> dict[str, Array]:
    pixels_BCHW = encoder.inputs.images(encoded).to(encoder.log_scale.device)
    with _inference(encoder):
        return _heads(encoder, encoder.image_trunk(pixels_BCHW), what)


def _heads(encoder: Encoder, trunk: Features, what: What) -> dict[str, Array]:
    if what == "trunk":
        return {name: _half(value) for name, value in trunk.items()}
    if what == "vector":
        return {"vector": _numbers(encoder.image_head(trunk))}
    vector_BD, tokens_BTC = encoder.image_head_and_tokens(trunk)
    codes, scale_B = quantise(tokens_BTC)
    vector = _numbers(vector_BD)
    return {"vector": vector, "tokens": codes.cpu().numpy(), "scale": scale_B.float().cpu().numpy()}


def _holds(store: FeatureStore, fresh: FeatureBatch) -> bool:
    """Whether the first rows of `store` are `fresh`, up to the rounding of float16."""
    if set(store.names) != set(fresh.arrays):
        return False
    kept = store.take(np.arange(len(fresh.product_row)))
    return all(
        kept[name].shape == array.shape
        and np.allclose(kept[name], array, rtol=0.01, atol=0.01 * float(np.abs(array).max()))
        for name, array in fresh.arrays.items()
    )


def _text_vectors(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    with _inference(encoder):
        return _numbers(encoder.encode_text(_tokens(encoder, texts)))


def _text_trunk(encoder: Encoder, texts: Sequence[str]) -> dict[str, Array]:
    with _inference(encoder):
        features: Features = encoder.text_trunk(_tokens(encoder, texts))
    return {name: value.cpu().numpy() for name, value in features.items()}


def _tokens(encoder: Encoder, texts: Sequence[str]) -> Features:
    device = encoder.log_scale.device
    return {name: ids.to(device) for name, ids in encoder.inputs.texts(list(texts)).items()}


@contextmanager
def _inference(encoder: Encoder) -> Iterator[None]:
    """No gradients, and the encoder in inference mode until the block ends."""
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        encoder.train(was_training)


def _half(value: Tensor) -> Array:
    kept: Array = (value.half() if value.is_floating_point() else value).cpu().numpy()
    return kept


def _numbers(vector_BD: Tensor) -> NDArray[np.float32]:
    """As float32 in numpy. Raises MatcherError where one is no number."""
    vectors: NDArray[np.float32] = vector_BD.float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise MatcherError("the encoder gives vectors that are no numbers; train it again")
    return vectors


def _stack(parts: list[Array]) -> Array:
    """Rows of all parts; narrower ones are padded with 0 on the right."""
    width = max(part.shape[1] for part in parts if part.ndim > 1) if parts[0].ndim > 1 else 0
    padded = [
        np.pad(part, ((0, 0), (0, width - part.shape[1]))) if part.ndim == 2 else part
        for part in parts
    ]
    return np.concatenate(padded)
