"""xmodal/training/losses/distill.py: value, and what the teacher's size has to say."""

from math import log

import pytest
import torch

from tests.training.losses.worked import make_rows
from xmodal.training.losses.contract import Labels, Teacher, meet
from xmodal.training.losses.distill import Distill

LABELS = torch.arange(2)


def test_value_is_that_by_hand():
    # The teacher sees no difference; the student gives its own pair 3 times the other's odds.
    teacher = Teacher(torch.ones(2, 1), torch.ones(2, 1), log_scale=0.0)
    batch = meet(
        torch.eye(2), torch.eye(2), torch.tensor(log(log(3.0))), Labels(LABELS, teacher=teacher)
    )
    divergence = 0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25)
    assert Distill(share=1.0)(batch).item() == pytest.approx(divergence)


def test_a_student_that_agrees_costs_nothing_and_is_not_moved():
    text, image = make_rows()
    teacher = Teacher(text.detach(), image.detach(), log_scale=0.5)
    batch = meet(text, image, torch.tensor(0.5), Labels(torch.arange(6), teacher=teacher))
    loss = Distill(share=1.0)(batch)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert text.grad.abs().max() < 1e-6
