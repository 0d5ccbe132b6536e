"""xmodal/training/losses/matryoshka.py: value by the plain formula, meaning, gradient."""

import pytest
import torch
from torch.nn.functional import normalize

from xmodal.training.losses.contract import Labels, meet
from xmodal.training.losses.info_nce import InfoNce
from xmodal.training.losses.matryoshka import Matryoshka
from xmodal.training.losses.siglip import SigLip

SCALE = torch.tensor(1.0)


def pairs(rows=6, dim=8):
    torch.manual_seed(0)
    return [normalize(torch.randn(rows, dim), dim=1).requires_grad_() for _ in range(2)]


def batch(text, image):
    return meet(text, image, SCALE, Labels(torch.arange(len(text))))


def test_it_is_the_sum_over_prefixes_of_unit_length():
    text, image = pairs()
    short = [normalize(side[:, :4], dim=1) for side in (text, image)]
    wanted = InfoNce()(batch(text, image)) + InfoNce()(batch(*short))
    found = Matryoshka(InfoNce(), (4,))(batch(text, image))
    torch.testing.assert_close(found, wanted)


def test_dims_of_the_whole_or_more_count_once():
    both = batch(*pairs())
    torch.testing.assert_close(Matryoshka(InfoNce(), (8, 99))(both), InfoNce()(both))


def test_training_with_it_makes_the_prefix_better():
    left = {}
    for name, loss in (("plain", InfoNce()), ("nested", Matryoshka(InfoNce(), (2,)))):
        sides = [side.detach().clone().requires_grad_() for side in pairs(rows=12)]
        steps = torch.optim.Adam(sides, lr=0.05)
        for _ in range(30):
            steps.zero_grad()
            loss(batch(*(normalize(side, dim=1) for side in sides))).backward()
            steps.step()
        left[name] = InfoNce()(batch(*(normalize(side[:, :2], dim=1) for side in sides))).item()
    assert left["nested"] < left["plain"] - 0.05


def test_its_gradient_is_that_of_finite_differences():
    text, image = [side.detach().double().requires_grad_() for side in pairs(4, 6)]
    whole = Matryoshka(InfoNce(), (2, 4))
    run = lambda t, i: whole(  # noqa: E731
        meet(t, i, SCALE.double(), Labels(torch.arange(4)))
    )
    assert torch.autograd.gradcheck(run, (text, image))


def test_what_the_inner_loss_learns_is_a_parameter_of_the_whole():
    assert len(list(Matryoshka(SigLip(), (4,)).parameters())) == len(list(SigLip().parameters()))


@pytest.mark.parametrize("dims", [(), (8,)])
def test_without_a_shorter_prefix_nothing_changes(dims):
    both = batch(*pairs())
    assert Matryoshka(InfoNce(), dims)(both).item() == InfoNce()(both).item()
