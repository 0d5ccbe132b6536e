"""xmodal/catalog/splits.py: what belongs together stays together."""

import itertools
import random
import time

import pytest

from tests.shops import drawn_shirts
from xmodal.catalog.images import check_image
from xmodal.catalog.splits import NEAR_BITS, NEAR_COLOUR, Traits, cut_val, straddling, val_size

GREY = bytes(48)


def traits(products):
    """Products as (title, [(pixels, dhash, colours)], split); grey where no colours are given."""
    found = Traits()
    for number, (title, pictures, split) in enumerate(products):
        looks = [(*picture, GREY)[:3] for picture in pictures]
        found.add(f"p{number}", title, looks, split)
    return found


def shirts(n, titles, **how):
    """`n` drawn shirts on white under `titles` titles, in train."""
    pictures = [check_image(content, 10**6) for content in drawn_shirts(n, **how)]
    looks = [[(p.pixels, p.dhash, p.colours)] for p in pictures]
    return [(f"Shirt {i % titles}", look, "train") for i, look in enumerate(looks)]


def alone(n, title="shoe {}"):
    rng = random.Random(0)
    return [(title.format(i), [(f"pixels {i}", rng.getrandbits(64))], "train") for i in range(n)]


def belong_together(one, other):
    same_pixels = {p for p, *_ in one[1]} & {p for p, *_ in other[1]}
    same_title = one[0].lower() == other[0].lower()
    near = [
        (a ^ b).bit_count() <= NEAR_BITS
        and max(abs(x - y) for x, y in zip(c, d, strict=True)) <= NEAR_COLOUR
        for (_, a, c), (_, b, d) in itertools.product(one[1], other[1])
    ]
    return bool(same_pixels) or (same_title and any(near))


def random_shop(rng, n=300):
    hashes = [rng.getrandbits(64) for _ in range(60)]
    products = []
    for number in range(n):
        near = hashes[rng.randrange(60)] ^ (1 << rng.randrange(64)) ^ (1 << rng.randrange(64))
        pixels = f"pixels {rng.randrange(200) if rng.random() < 0.3 else 1000 + number}"
        colours = bytes(rng.choice((100, 110, 130)) for _ in range(2)) + bytes(46)
        products.append((f"Title {rng.randrange(20)}", [(pixels, near, colours)], "train"))
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


def test_one_cut_in_many_colours_is_no_group():
    shop = traits(shirts(600, titles=3))
    assert cut_val(shop, 0.05, 0) == 100
    assert straddling(shop) == {"val": 0}


def test_one_cut_in_one_colour_is_never_split():
    shop = traits(shirts(400, titles=400, colours=1) + alone(20))
    assert cut_val(shop, 0.05, 0) == 20
    assert set(shop.splits[:400]) == {"train"}


def test_equal_pictures_are_never_split():
    rng = random.Random(0)
    looks = [(f"pixels {i}", rng.getrandbits(64)) for i in range(100)]
    shop = traits([("shirt", [looks[i // 3]], "train") for i in range(300)])
    assert cut_val(shop, 0.2, 0) == 60
    assert all(len(set(shop.splits[i : i + 3])) == 1 for i in range(0, 300, 3))


@pytest.mark.slow
def test_alike_shapes_under_one_title_take_seconds():
    rng = random.Random(0)
    looks = [(f"{i}", 0, rng.randbytes(48)) for i in range(20_000)]
    shop = traits([("shirt", [look], "train") for look in looks])
    start = time.process_time()
    assert cut_val(shop, 0.05, 0) == 1000
    assert time.process_time() - start < 30


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
