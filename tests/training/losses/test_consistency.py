"""xmodal/training/losses/consistency.py: value by torch's own divergence, and meaning."""

from dataclasses import replace

import torch
from torch.nn.functional import kl_div

from tests.training.losses.worked import make_labels, make_rows
from xmodal.training.losses.consistency import Consistency
from xmodal.training.losses.contract import meet
from xmodal.training.losses.info_nce import InfoNce

SCALE = torch.tensor(1.0)


def met(seed):
    return meet(*make_rows(seed=seed), SCALE, make_labels())


def test_value_is_that_of_both_passes_and_both_divergences():
    first, second = met(0), met(3)
    wanted = (InfoNce()(first) + InfoNce()(second)) / 2
    for side in ("scores_to_image_BN", "scores_to_text_BN"):
        logs = [(SCALE.exp() * getattr(x, side)).log_softmax(1) for x in (first, second)]
        for p, q in (logs, logs[::-1]):  # the paper's alpha / 2, halved as the passes are
            wanted = wanted + 2.0 * kl_div(q, p, reduction="batchmean", log_target=True) / 4 / 2
    found = Consistency(InfoNce(), 2.0)(replace(first, again=second))
    torch.testing.assert_close(found, wanted)


def test_two_equal_passes_are_one():
    one = met(0)
    torch.testing.assert_close(Consistency(InfoNce(), 9.0)(replace(one, again=one)), InfoNce()(one))


def test_a_larger_weight_brings_the_passes_together():
    left = {}
    for weight in (0.0, 20.0):
        rows = [x.detach().requires_grad_() for s in (0, 3) for x in make_rows(seed=s)]
        steps = torch.optim.Adam(rows, lr=0.02)
        for _ in range(20):
            first, second = (meet(*rows[i : i + 2], SCALE, make_labels()) for i in (0, 2))
            steps.zero_grad()
            Consistency(InfoNce(), weight)(replace(first, again=second)).backward()
            steps.step()
        gap = first.scores_to_image_BN - second.scores_to_image_BN
        left[weight] = gap.square().mean().item()
    assert left[20.0] < left[0.0] / 2
