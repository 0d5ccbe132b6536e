"""xmodal/training/losses/info_nce.py: value and meaning."""

from math import log

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.training.losses.worked import make_batch, make_rows
from xmodal.training.losses.contract import Fits, Labels, meet
from xmodal.training.losses.info_nce import InfoNce

ZERO = torch.tensor(0.0)


def cost(vector_BD, labels):
    return InfoNce()(meet(vector_BD, vector_BD, ZERO, labels))


def test_equal_embeddings_cost_log_of_the_batch():
    row = torch.ones(4, 2) / 2**0.5
    assert cost(row, Labels(torch.arange(4))).item() == pytest.approx(log(4))


def test_value_is_torch_cross_entropy_with_its_label_smoothing():
    text, image = make_rows(5)
    logits, truth = 3.0 * text @ image.T, torch.arange(5)
    both = [cross_entropy(x, truth, label_smoothing=0.1) for x in (logits, logits.T)]
    torch.testing.assert_close(InfoNce(0.1)(make_batch(log(3.0), n=5)), sum(both) / 2)


def test_captions_of_one_product_do_not_repel():
    apart, together = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    one_shoe, two_shoes = Labels(torch.tensor([7, 7])), Labels(torch.tensor([7, 8]))
    assert cost(together, one_shoe) < cost(apart, one_shoe)
    assert cost(apart, two_shoes) < cost(together, two_shoes)


def test_identical_captions_are_positives_of_each_other():
    apart, together = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    shoes = Labels(torch.tensor([7, 8]), caption_B=torch.tensor([3, 3]))
    assert cost(together, shoes) < cost(apart, shoes)


def test_a_product_that_a_caption_fits_is_its_positive_and_not_of_the_others():
    text, image = make_rows(3)
    fits = torch.zeros(3, 3, dtype=torch.bool)
    fits[0, 2] = True  # text 0 fits image 2: in the other direction, image 2 has two texts
    labels = Labels(torch.arange(3), fits=Fits(fits, fits.T))
    ours = InfoNce()(meet(text, image, ZERO, labels))
    target = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    back = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    expected = cross_entropy(text @ image.T, target) + cross_entropy(image @ text.T, back)
    torch.testing.assert_close(ours, expected / 2)
