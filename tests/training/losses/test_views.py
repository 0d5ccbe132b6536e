"""xmodal/training/losses/views.py: value by the plain formula, and whom it never parts."""

from dataclasses import replace

import torch
from torch.nn.functional import cross_entropy

from tests.training.losses.worked import make_labels, make_rows
from xmodal.training.losses.contract import Labels, meet
from xmodal.training.losses.views import TEMPERATURE, Views

SCALE = torch.tensor(0.0)


def met(labels):
    first, second = (meet(*make_rows(seed=s), SCALE, labels) for s in (0, 5))
    return replace(first, again=second)


def test_value_is_the_contrast_of_both_views():
    batch = met(Labels(torch.arange(6)))
    logits = batch.image_BD @ batch.again.image_BD.T / TEMPERATURE
    own = torch.arange(6)
    wanted = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(Views()(batch), wanted)


def test_pictures_of_one_product_or_text_are_no_negatives():
    one_product = Labels(torch.zeros(6, dtype=torch.long))
    assert Views()(met(one_product)).item() == 0.0
    assert Views()(met(make_labels())) < Views()(met(Labels(torch.arange(6))))


def test_texts_have_no_say():
    batch = met(Labels(torch.arange(6)))
    assert not torch.autograd.grad(Views()(batch), batch.text_BD)[0].any()
