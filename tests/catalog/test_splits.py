"""xmodal/catalog/splits.py: what belongs together stays together."""

import itertools
import random

import pytest

from xmodal.catalog.splits import NEAR_BITS, Traits, cut_val, straddling, val_size


def traits(products):
    """Products as (title, [(pixels, dhash)], split)."""
    found = Traits()
    for number, (title, pictures, split) in enumerate(products):
        found.add(f"p{number}", title, pictures, split)
    return found


def alone(n, title="shoe {}"):
    rng = random.Random(0)
    return [(title.format(i), [(f"pixels {i}", rng.getrandbits(64))], "train") for i in range(n)]


def belong_together(one, other):
    same_pixels = {p for p, _ in one[1]} & {p for p, _ in other[1]}
    same_title = one[0].lower() == other[0].lower()
    distances = [(a ^ b).bit_count() for (_, a), (_, b) in itertools.product(one[1], other[1])]
    return bool(same_pixels) or (same_title and min(distances, default=99) <= NEAR_BITS)


def random_shop(rng, n=300):
    hashes = [rng.getrandbits(64) for _ in range(60)]
    products = []
    for number in range(n):
        near = hashes[rng.randrange(60)] ^ (1 << rng.randrange(64)) ^ (1 << rng.randrange(64))
        pixels = f"pixels {rng.randrange(200) if rng.random() < 0.3 else 1000 + number}"
        products.append((f"Title {rng.randrange(20)}", [(pixels, near)], "train"))
    return products


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_belongs_together_straddles(seed):
    products = random_shop(random.Random(seed))
    shop = traits(products)
    assert cut_val(shop, 0.2, seed) > 10
    pairs = itertools.combinations(zip(products, shop.splits, strict=True), 2)
    assert not [(a, b) for (a, x), (b, y) in pairs if x != y and belong_together(a, b)]
    assert straddling(shop) == {"val": 0}


def test_a_chain_of_near_pictures_is_one_group():
    chain = [("shoe", [(f"c{i}", (1 << (4 * i)) - 1)], "train") for i in range(10)]
    shop = traits(chain + alone(400))
    cut_val(shop, 0.2, 0)
    assert len(set(shop.splits[:10])) == 1


def test_a_title_alone_is_no_identity():
    shop = traits(alone(4000, title="shirt"))
    assert cut_val(shop, 0.05, 0) == 200
    assert shop.splits.count("val") == 200


def test_a_placeholder_picture_does_not_pull_half_the_shop_along():
    shop = traits(alone(400) + [(f"hat {i}", [("blank", 0)], "train") for i in range(300)])
    cut_val(shop, 0.2, 0)
    assert set(shop.splits[400:]) == {"train"}


def test_products_that_cannot_ask_stay_in_train():
    mute = [("", [(f"mute {i}", i << 20)], "train") for i in range(200)]
    blind = [(f"text {i}", [], "train") for i in range(200)]
    shop = traits(mute + blind + alone(200))
    assert cut_val(shop, 0.2, 0) > 0
    assert set(shop.splits[:400]) == {"train"}


def test_the_draw_is_stable_when_products_come():
    few, many = traits(alone(2000)), traits(alone(2200))
    cut_val(few, 0.05, 0)
    cut_val(many, 0.05, 0)
    both = sum(a == b == "val" for a, b in zip(few.splits, many.splits, strict=False))
    assert both >= 85
    other = traits(alone(2000))
    cut_val(other, 0.05, 1)
    assert other.splits != few.splits


@pytest.mark.parametrize(
    ("n_train", "n_val"),
    [(0, 0), (4, 0), (5, 1), (50, 10), (2000, 100), (10_000, 500), (10**7, 1300)],
)
def test_the_size_is_bounded_at_both_ends(n_train, n_val):
    assert val_size(n_train, 0.05) == n_val


def test_given_splits_are_counted_as_they_are():
    products = [
        ("shoe", [("a", 0)], "train"),
        ("hat", [("a", 0)], "dev"),
        ("SHOE", [("b", 1)], "test"),
        ("bag", [("c", 1)], "test"),
    ]
    assert straddling(traits(products)) == {"dev": 1, "test": 1}
