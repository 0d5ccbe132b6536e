"""xmodal/training/losses/gcl.py: value and meaning."""

import torch
from torch.nn.functional import cross_entropy

from tests.training.losses.worked import make_rows
from xmodal.training.losses.contract import Labels, meet
from xmodal.training.losses.gcl import Gcl
from xmodal.training.losses.info_nce import InfoNce

ZERO, TRUTH = torch.tensor(0.0), torch.arange(3)


def test_value_is_the_weighted_mean_of_torch_cross_entropies():
    text, image = make_rows(3)
    weight = torch.tensor([1.0, 4.0, 7.0])
    ours = Gcl()(meet(text, image, ZERO, Labels(TRUTH, weight_B=weight)))
    logits = text @ image.T
    rows = [cross_entropy(x, TRUTH, reduction="none") for x in (logits, logits.T)]
    torch.testing.assert_close(ours, (weight * sum(rows)).sum() / (2 * weight.sum()))


def test_equal_weights_give_info_nce():
    batch = meet(*make_rows(3), ZERO, Labels(TRUTH, weight_B=torch.full((3,), 5.0)))
    torch.testing.assert_close(Gcl(0.1)(batch), InfoNce(0.1)(batch))
