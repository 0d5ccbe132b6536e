"""xmodal/training/losses/margin.py: value, and what is never a negative."""

import pytest
import torch

from tests.training.losses.worked import make_batch, make_labels
from xmodal.training.losses.contract import Fits, Labels, meet
from xmodal.training.losses.info_nce import InfoNce
from xmodal.training.losses.margin import MARGIN, Margin

ZERO = torch.tensor(0.0)
TEXT = torch.eye(3)
IMAGE = torch.tensor([[0.8, 0.6, 0.0], [0.7, 0.7, 0.14], [0.0, 0.0, 1.0]])


def hinge(labels):
    return Margin(share=1.0)(meet(TEXT, IMAGE, ZERO, labels)).item()


def test_value_is_that_by_hand():
    # Text to image: .2 + .7 - .8, .2 + .6 - .7, .2 + .14 - 1. Image to text: .2 + .6 - .8 ...
    to_image = [MARGIN + 0.7 - 0.8, MARGIN + 0.6 - 0.7, 0.0]
    to_text = [MARGIN + 0.6 - 0.8, MARGIN + 0.7 - 0.7, 0.0]
    expected = (sum(to_image) + sum(to_text)) / 3
    assert hinge(Labels(torch.arange(3))) == pytest.approx(expected)


@pytest.mark.parametrize(
    "labels",
    [
        Labels(torch.tensor([5, 5, 6])),
        Labels(torch.arange(3), caption_B=torch.tensor([5, 5, 6])),
        Labels(
            torch.arange(3),
            fits=Fits(*[torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()] * 2),
        ),
    ],
    ids=["product", "caption", "fits"],
)
def test_false_negatives_are_not_pushed_away(labels):
    assert hinge(labels) == 0.0  # the first two are one; the third is far


def test_a_row_without_negatives_costs_nothing():
    assert hinge(Labels(torch.zeros(3, dtype=torch.long))) == 0.0


def test_the_rest_is_info_nce():
    batch = make_batch(1.0, make_labels())
    half, hinge_alone = Margin(0.1, share=0.5)(batch), Margin(share=1.0)(batch)
    torch.testing.assert_close(half, (hinge_alone + InfoNce(0.1)(batch)) / 2)
