"""xmodal/training/batches.py: the same pairs whatever the workers, and no false negatives."""

import numpy as np
import pytest
import torch

from tests.training.test_captions import make_table
from xmodal.errors import SettingsError
from xmodal.training.batches import MIN_STEPS, Sampler, beside, captions_that_fit, steps_of


class Numbers:
    """A store whose features are the row numbers."""

    def take(self, rows):
        return {"row_B1": rows[:, None].copy(), "words_BW": np.ones((len(rows), 8), np.int64)}


def make_sampler(**changes):
    rows = [("a", 0, "title", []), ("b", 1, "title", []), ("c", 1, "glossary", [])]
    options = {"batch": 4, "word_dropout": 0.5, "seed": 3} | changes
    return Sampler(make_table(*rows), Numbers(), Numbers(), **options)


def flatten(batches, name):
    return torch.cat([getattr(batch, name) for batch in batches])


def test_an_epoch_is_the_same_each_time_and_unlike_the_next():
    first, again, other = (list(make_sampler().epoch(e)) for e in (0, 0, 1))
    assert torch.equal(flatten(first, "product_B"), flatten(again, "product_B"))
    assert torch.equal(flatten(first, "caption_B"), flatten(again, "caption_B"))
    assert not torch.equal(flatten(first, "caption_B"), flatten(other, "caption_B"))


def test_two_workers_share_the_batch_of_one():
    one = list(make_sampler().epoch(0))
    two = [list(make_sampler(rank=r, workers=2).epoch(0)) for r in range(2)]
    for whole, halves in zip(one, zip(*two, strict=True), strict=True):
        for name in ("words_BW", "row_B1"):
            assert torch.equal(whole.text[name], torch.cat([half.text[name] for half in halves]))
        assert torch.equal(whole.image["row_B1"], torch.cat([h.image["row_B1"] for h in halves]))
        masks = torch.cat([half.fits.to_text_BN for half in halves])
        assert torch.equal(whole.fits.to_text_BN, masks)


def test_a_batch_that_workers_cannot_share_is_refused():
    with pytest.raises(SettingsError, match=r"training\.batch 5 .* training\.workers 2"):
        make_sampler(batch=5, workers=2)


def test_words_are_dropped_by_their_share():
    words = torch.cat([batch.text["words_BW"] for batch in make_sampler().epoch(0)])
    assert 0.4 < (words == 0).float().mean() < 0.6
    assert not (make_sampler(word_dropout=0.0).epoch(0).__next__().text["words_BW"] == 0).any()


def test_a_tiny_shop_passes_its_products_several_times_an_epoch():
    assert steps_of(products=5, batch=64) == MIN_STEPS
    assert steps_of(products=100_000, batch=512) == 195


def test_a_caption_fits_the_products_that_have_all_it_states():
    red, blue, shoe, bag = 1, 2, 1, 2
    codes = np.array([[red, shoe], [red, bag], [blue, shoe], [red, shoe]], dtype=np.int32)
    states_both, states_colour, states_nothing = 3, 1, 0
    uses = np.array([states_both, states_colour, states_nothing, states_both])
    fits = captions_that_fit(codes, uses)
    assert fits.tolist() == [[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]]


def test_a_title_is_never_a_negative_of_a_product_that_bears_it():
    rows = [("t", 0, "title", []), ("t", 1, "title", []), ("x", 1, "glossary", [])]
    sampler = Sampler(make_table(*rows), Numbers(), Numbers(), batch=4, word_dropout=0.0, seed=3)
    for batch in (batch for epoch in range(5) for batch in sampler.epoch(epoch)):
        assert batch.fits.to_image_BN[batch.caption_B == 0].all()


def test_a_product_stands_beside_its_negatives_and_each_product_once():
    mined = np.array([[3, 1], [0, -1], [-1, -1], [2, 0], [3, -1]])
    assert beside(np.array([4, 0, 1, 2, 3]), mined).tolist() == [4, 3, 0, 1, 2]


def test_mined_negatives_share_a_batch_with_their_product():
    sampler = make_sampler(batch=2)
    first = next(sampler.epoch(0)).product_B.tolist()
    mined = np.array([[1], [0]])
    assert sorted(next(sampler.epoch(0, mined)).product_B.tolist()) == [0, 1]
    assert len(first) == 2
