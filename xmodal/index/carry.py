"""Vectors for a catalogue that changes were folded into: carried over, none embedded twice.

    store of the catalogue before + VectorLog of the changes -> store of the folded catalogue

Shapes: N pictures of a shard, R product rows.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.catalog.changes import ProductFacts, fingerprints, vectors_folder
from xmodal.catalog.fold import NEW, origin_of
from xmodal.catalog.store import Catalog, open_catalog
from xmodal.index.vectors import VectorLog, keys_of
from xmodal.journal import Journal
from xmodal.matcher.saved import encoder_fingerprint
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
    vector_folder,
    write_shard,
)

_WHAT: What = "vector+tokens"


def carry_over(home: Path, catalog: Catalog, matcher_folder: Path) -> FeatureStore | None:
    """The store of `catalog` by the matcher's encoder, made of what is known already.

    None where nothing was folded into it, or what it was before has no whole store: then it is
    embedded as any other. Raises StorageError where the disk is full.
    """
    origin = origin_of(catalog)
    if origin is None:
        return None
    encoder = encoder_fingerprint(matcher_folder / "encoder")
    base, origin_R = origin
    before = open_catalog(home / "catalogs" / base).manifest
    known = vector_folder(home, encoder, before.fingerprint)
    if not is_whole(known, Plan(_WHAT, encoder, before.fingerprint, before.n_products)):
        return None
    log = VectorLog(Journal(vectors_folder(home, encoder)), matcher_folder / "encoder")
    folder = vector_folder(home, encoder, catalog.manifest.fingerprint)
    plan = Plan(_WHAT, encoder, catalog.manifest.fingerprint, catalog.n_products)
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(known)
    for shard in begin_store(folder, plan):
        kept = _carried(store, origin_R, shard)
        fresh = [
            batch
            for row in range(shard.start, shard.stop)
            if origin_R[row] == NEW and (batch := _fresh(log, catalog, row))
        ]
        write_shard(folder, shard.number, [_in_order([kept, *fresh])] if kept or fresh else [])
    return finish_store(folder, plan)


def _carried(store: FeatureStore, origin_R: NDArray[np.int64], shard: Shard) -> FeatureBatch | None:
    """What `store` has of the rows of a shard that did not change; None where that is nothing."""
    rows = np.arange(shard.start, shard.stop)
    rows = rows[origin_R[rows] != NEW]
    low = np.searchsorted(store.product_row, origin_R[rows], side="left")
    high = np.searchsorted(store.product_row, origin_R[rows], side="right")
    spans = [np.arange(*span) for span in zip(low, high, strict=True)]
    taken = np.concatenate([np.zeros(0, np.int64), *spans]).astype(np.int64)
    if not len(taken):
        return None
    product_row_N = np.repeat(rows, high - low).astype(np.int64)
    return FeatureBatch(product_row_N, store.image_no[taken], store.take(taken))


def _fresh(log: VectorLog, catalog: Catalog, row: int) -> FeatureBatch | None:
    """What the log has of a row that changed, embedded now if it must be; None without pictures."""
    images = [encoded for _, _, encoded in catalog.images(row, row + 1)]
    if not images:
        return None
    facts = ProductFacts("", "", {}, pictures=fingerprints(images))
    log.ensure([(facts, lambda: images)])
    made = [log.row_of(key) for key in keys_of(facts)]
    arrays: dict[str, Array] = {
        "vector": np.stack([one.vector_D for one in made]),
        "tokens": np.stack([one.tokens_TC for one in made]),
        "scale": np.array([one.scale for one in made], np.float32),
    }
    return FeatureBatch(np.full(len(made), row), np.arange(len(made)), arrays)


def _in_order(batches: list[FeatureBatch | None]) -> FeatureBatch:
    """All in one, in the catalogue's order."""
    found = [batch for batch in batches if batch is not None]
    product_row_N = np.concatenate([batch.product_row for batch in found])
    image_no_N = np.concatenate([batch.image_no for batch in found])
    order_N = np.lexsort((image_no_N, product_row_N))
    arrays = {
        name: np.concatenate([batch.arrays[name] for batch in found])[order_N]
        for name in found[0].arrays
    }
    return FeatureBatch(product_row_N[order_N], image_no_N[order_N], arrays)
