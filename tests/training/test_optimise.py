"""xmodal/training/optimise.py: what decays, what learns slowly, how the rate moves."""

import math

import pytest
import torch
from torch import nn

from xmodal.training.optimise import (
    PRETRAINED_SHARE,
    clamp_temperature,
    make_optimizer,
    make_schedule,
)


def test_only_matrices_decay_and_pretrained_weights_learn_slowly():
    old, new = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    model = nn.ModuleList([old, new])
    optimizer = make_optimizer(model, 1.0, 0.5, pretrained=old.parameters())
    found = {
        (group["lr"], group["weight_decay"], len(group["params"]))
        for group in optimizer.param_groups
    }
    slow = PRETRAINED_SHARE
    assert found == {(slow, 0.5, 1), (slow, 0.0, 1), (1.0, 0.5, 1), (1.0, 0.0, 3)}


def test_frozen_weights_are_not_optimised():
    model = nn.Linear(2, 2).requires_grad_(False)
    model.bias.requires_grad_(True)
    groups = make_optimizer(model, 1.0, 0.1).param_groups
    assert [len(group["params"]) for group in groups] == [1]


def test_the_rate_rises_then_falls_along_a_cosine_to_zero():
    optimizer = make_optimizer(nn.Linear(1, 1), 1.0, 0.0)
    schedule, rates = make_schedule(optimizer, total_steps=10, warmup_share=0.2), []
    for _ in range(11):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    falling = [0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(9)]
    assert rates == pytest.approx([0.5, 1.0, *falling])


@pytest.mark.parametrize(("given", "kept"), [(9.0, math.log(100)), (-1.0, 0.0), (2.0, 2.0)])
def test_the_temperature_stays_within_its_bounds(given, kept):
    log_scale = nn.Parameter(torch.tensor(given))
    clamp_temperature(log_scale)
    assert log_scale.item() == pytest.approx(kept)
