"""xmodal/training/losses/siglip.py: value and meaning."""

from math import exp, log

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.training.losses.worked import FITS, make_batch, make_labels, make_rows
from xmodal.training.losses.contract import Labels, meet
from xmodal.training.losses.siglip import SigLip


def test_value_is_that_by_hand():
    loss = SigLip()
    loss.bias.data.fill_(-1.0)
    batch = meet(torch.eye(2), torch.eye(2), torch.tensor(log(2.0)), Labels(torch.arange(2)))
    own, other = log(1 + exp(-(2.0 - 1.0))), log(1 + exp(-1.0))  # -log sigmoid(z (t x.y + b))
    assert loss(batch).item() == pytest.approx(own + other)


def test_any_number_of_images_may_be_right():
    text, image = make_rows()
    loss, labels = SigLip(), make_labels()
    alike = labels.product_B[:, None] == labels.product_B
    alike |= labels.caption_B[:, None] == labels.caption_B
    logits = exp(2.0) * text @ image.T + loss.bias
    entropy = binary_cross_entropy_with_logits(logits, (alike | FITS).float(), reduction="sum")
    torch.testing.assert_close(loss(make_batch(2.0, labels)), entropy / 6)


def test_the_bias_is_learnt_and_starts_as_in_the_paper():
    loss = SigLip()
    loss(make_batch()).backward()
    assert loss.bias.item() == -10.0
    assert loss.bias.grad < 0  # six yeses say: higher
