"""xmodal/catalog/near_duplicates.py: buckets find what every pair would."""

import time

import numpy as np
import pytest

from tests.shops import encoded, picture
from xmodal.catalog.images import check_image
from xmodal.catalog.near_duplicates import SAME_BITS, SAME_COLOUR, across, near_pairs


def looks_of(hashes, colours):
    return [h.tobytes() + c.tobytes() for h, c in zip(hashes, colours, strict=True)]


def some_looks(n, seed):
    """Looks in families: each member a few bits and a little colour from its family's first."""
    rng = np.random.default_rng(seed)
    family = rng.integers(0, n // 4, n)
    hashes = rng.integers(0, 2**63, n // 4, dtype=np.uint64)[family]
    for _ in range(5):
        flips = np.uint64(1) << rng.integers(0, 64, n).astype(np.uint64)
        hashes ^= np.where(rng.random(n) < 0.4, flips, np.uint64(0))
    colours = rng.integers(0, 256, (n // 4, 48))[family] + rng.integers(-3, 4, (n, 48))
    return hashes, np.clip(colours, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_buckets_find_the_same_pairs_as_all_comparisons(seed):
    hashes, colours = some_looks(400, seed)
    found = {
        (min(pair), max(pair))
        for i, j in near_pairs(looks_of(hashes, colours))
        for pair in zip(i.tolist(), j.tolist(), strict=True)
    }
    wide = colours.astype(int)
    by_hand = {
        (i, j)
        for i in range(400)
        for j in range(i + 1, 400)
        if int(hashes[i] ^ hashes[j]).bit_count() <= SAME_BITS
        and abs(wide[i] - wide[j]).max() <= SAME_COLOUR
    }
    assert len(by_hand) > 100
    assert found == by_hand


def test_time_grows_with_the_pictures_and_not_with_the_pairs():
    """Four times the pictures: 16 times the pairs, and well under 12 times the time."""
    took = []
    for n in (5_000, 20_000):
        looks = looks_of(*some_looks(n, 0))
        start = time.process_time()
        assert sum(len(i) for i, _ in near_pairs(looks)) > n / 4
        took.append(time.process_time() - start)
    assert took[1] < 12 * took[0]


def look(content):
    checked = check_image(content, 10**6)
    return checked.dhash.to_bytes(8, "little") + checked.colours


def test_one_picture_saved_in_many_ways_is_found_across_all_parts():
    sized = picture(1, size=(96, 128))
    ways = [encoded(1), encoded(1, "PNG"), encoded(1, "WEBP"), encoded(1, size=sized.size)]
    looks = [[look(content)] for content in ways] + [[look(encoded(2))], []]
    splits = ["train", "val", "dev", "test", "train", "dev"]
    assert across(looks, splits) == {
        part: {other: 1 for other in ("train", "val", "dev", "test") if other != part}
        for part in ("train", "val", "dev", "test")
    }


def test_a_product_counts_once_and_its_own_part_not_at_all():
    same, other = look(encoded(1)), look(encoded(2))
    looks = [[same, other], [same, other], [same], [same]]
    found = across(looks, ["train", "train", "dev", "dev"])
    assert found == {"train": {"dev": 2}, "dev": {"train": 2}}
    assert across(looks[:2], ["train", "train"]) == {}
    assert across([], []) == {}
