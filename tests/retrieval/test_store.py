"""xmodal/retrieval/store.py: rows come back as written, and a store is whole or not there."""

import numpy as np
import pytest

from xmodal.errors import StorageError
from xmodal.retrieval.store import (
    FeatureBatch,
    Plan,
    begin_store,
    finish_store,
    is_whole,
    open_store,
    shard_path,
    write_shard,
)

PLAN = Plan("trunk", "encoder", "catalog", 1300)  # three shards of 512 products


def make_batch(start, stop):
    """One picture a product; each feature tells its row."""
    rows = np.arange(start, stop)
    lower = np.broadcast_to(rows[:, None, None], (len(rows), 2, 3)).astype(np.float16)
    words = np.stack([rows, rows + 1], axis=1)
    return FeatureBatch(rows, np.zeros_like(rows), {"lower": lower, "words": words})


def fill(folder, plan=PLAN):
    for shard in begin_store(folder, plan):
        middle = (shard.start + shard.stop) // 2
        batches = [make_batch(shard.start, middle), make_batch(middle, shard.stop)]
        write_shard(folder, shard.number, batches)
    return finish_store(folder, plan)


def test_rows_come_in_any_order_and_more_than_once(tmp_path):
    fill(tmp_path)
    rows = np.array([1299, 0, 512, 511, 0])
    taken = open_store(tmp_path).take(rows)
    np.testing.assert_array_equal(taken["words"][:, 0], rows)
    assert taken["lower"].shape == (5, 2, 3)
    assert taken["lower"].dtype == np.float16
    np.testing.assert_array_equal(taken["lower"][:, 1, 2], rows.astype(np.float16))


def test_rows_are_in_the_order_of_the_catalogue(tmp_path):
    store = fill(tmp_path)
    np.testing.assert_array_equal(store.product_row, np.arange(1300))
    np.testing.assert_array_equal(store.column("words")[:, 1], np.arange(1300) + 1)


def test_what_is_taken_may_be_changed(tmp_path):
    taken = fill(tmp_path).take(np.array([3]))
    taken["lower"] += 1
    assert open_store(tmp_path).take(np.array([3]))["lower"][0, 0, 0] == 3


def test_only_missing_shards_are_made_again(tmp_path):
    fill(tmp_path)
    shard_path(tmp_path, 1).unlink()
    assert [shard.number for shard in begin_store(tmp_path, PLAN)] == [1]


def test_shards_of_another_encoder_are_not_reused(tmp_path):
    fill(tmp_path)
    other = Plan("trunk", "other encoder", "catalog", 1300)
    assert not is_whole(tmp_path, other)
    assert len(begin_store(tmp_path, other)) == 3


def test_an_unfinished_store_does_not_open(tmp_path):
    begin_store(tmp_path, PLAN)
    with pytest.raises(StorageError, match="no finished feature store"):
        open_store(tmp_path)


def test_a_shard_cut_short_is_named(tmp_path):
    fill(tmp_path)
    path = shard_path(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StorageError, match=r"shard-00002.arrow: cannot be read"):
        open_store(tmp_path)


def test_a_shard_that_fails_leaves_nothing(tmp_path):
    def failing():
        yield make_batch(0, 3)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_shard(tmp_path, 0, failing())
    assert list(tmp_path.iterdir()) == []


def test_products_without_pictures_make_an_empty_store(tmp_path):
    plan = Plan("vector", "encoder", "catalog", 2)
    begin_store(tmp_path, plan)
    write_shard(tmp_path, 0, [])
    store = finish_store(tmp_path, plan)
    assert (store.rows, store.names, store.take(np.array([], np.int64))) == (0, [], {})
