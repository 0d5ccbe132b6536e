"""xmodal/training/losses/multi_task.py: value by the formula, and what the variances settle at."""

import pytest
import torch

from tests.training.losses.worked import make_batch, make_labels
from xmodal.training.losses.info_nce import InfoNce
from xmodal.training.losses.multi_task import MultiTask
from xmodal.training.losses.relevance import Relevance
from xmodal.training.losses.siglip import SigLip


def test_value_is_the_weighed_sum():
    loss, batch = MultiTask(InfoNce(), {"relevance": Relevance()}), make_batch(0.0, make_labels())
    loss.log_variance_S.data = torch.tensor([0.4, -0.6])
    wanted = torch.exp(torch.tensor(-0.4)) * InfoNce()(batch) + 0.4 / 2
    wanted += torch.exp(torch.tensor(0.6)) / 2 * Relevance()(batch) - 0.6 / 2  # a squared error
    torch.testing.assert_close(loss(batch), wanted)


def test_a_variance_settles_where_its_task_is_as_uncertain():
    loss, batch = MultiTask(InfoNce(), {"relevance": Relevance()}), make_batch(0.0, make_labels())
    steps = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(300):
        steps.zero_grad()
        loss(batch).backward()
        steps.step()
    variance = loss.log_variance_S.exp()
    assert variance[0].item() == pytest.approx(2 * InfoNce()(batch).item(), rel=1e-2)
    assert variance[1].item() == pytest.approx(Relevance()(batch).item(), rel=1e-2)


def test_what_the_inner_loss_learns_is_a_parameter_of_the_whole():
    names = dict(MultiTask(SigLip(), {"relevance": Relevance()}).named_parameters())
    assert set(names) == {"inner.bias", "log_variance_S"}
