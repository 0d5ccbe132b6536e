"""xmodal/catalog/demo/assortment.py: what is on offer, and that held-out looks are unseen."""

from collections import Counter

from xmodal.catalog.demo.assortment import assortment

OFFERS = assortment(2500, seed=0)


def test_test_products_have_a_type_and_colour_that_no_other_part_has():
    looks = {part: {(o.design.kind, o.design.colour) for o in _of(part)} for part in _parts()}
    for part in ("train", "val", "dev"):
        assert not looks["test"] & looks[part]


def test_dev_and_val_looks_are_never_trained_on():
    looks = {
        part: {(o.design.kind, o.design.colour, o.design.pattern) for o in _of(part)}
        for part in _parts()
    }
    assert not looks["train"] & looks["dev"]
    assert not looks["train"] & looks["val"]
    assert not looks["val"] & looks["dev"]


def test_every_part_is_large_enough_to_measure():
    counts = Counter(offer.split for offer in OFFERS)
    assert counts["train"] > 1700
    assert min(counts["val"], counts["dev"], counts["test"]) > 120


def test_the_shop_has_the_oddities_of_real_shops():
    assert any(offer.pictures == 0 for offer in OFFERS)
    assert any(offer.pictures == 3 for offer in OFFERS)
    assert any(not offer.titled for offer in OFFERS)
    assert {offer.lang for offer in OFFERS} == {"en", "zh"}


def test_no_product_lacks_both_title_and_picture():
    assert all(offer.titled or offer.pictures for offer in OFFERS)


def test_held_out_products_can_be_found_by_picture():
    assert all(offer.pictures for offer in OFFERS if offer.split != "train")


def test_a_larger_shop_starts_with_the_smaller_one():
    assert assortment(20, seed=0) == OFFERS[:20]


def _parts() -> tuple[str, ...]:
    return ("train", "val", "dev", "test")


def _of(part: str):
    return [offer for offer in OFFERS if offer.split == part]
