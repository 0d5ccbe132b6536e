"""xmodal/training/adversary.py: how far features are pushed, where to, what gradient is left."""

from dataclasses import replace

import pytest
import torch

from tests.training.test_accumulate import make_sampler
from tests.training.toy import make_plan
from xmodal.settings import TrainingSettings
from xmodal.training.adversary import backward_with_adversary
from xmodal.training.loop import batch_loss
from xmodal.training.worker import make_trainee

RADIUS = 0.05


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    plan = make_plan(tmp_path_factory.mktemp("toy"))
    recipe = TrainingSettings(**plan.training)
    trainee = make_trainee(plan, recipe, 1, torch.device("cpu"), lambda model: model)
    return trainee, next(make_sampler(plan).epoch(0))


def run(made, radius):
    """What every backward saw, its losses, and the gradient that is left in the end."""
    trainee, batch = made
    seen, losses = [], []

    def backward(batch):
        vectors = trainee.model(batch.text, batch.image)
        loss = batch_loss(trainee.loss, batch, *vectors)
        loss.backward()
        seen.append(batch)
        losses.append(loss.item())
        return loss

    weights = list(trainee.encoder.parameters())
    trainee.optimizer.zero_grad()
    loss = backward_with_adversary(batch, radius, backward, weights)
    return seen, losses, loss.item(), [w.grad.clone() for w in weights if w.grad is not None]


def test_each_row_moves_by_its_share_along_its_gradient(made):
    (clean, pushed), *_ = run(made, RADIUS)
    for name in ("lower", "base_BF"):
        before, after = (batch.image[name].detach() for batch in (clean, pushed))
        moved = (after - before).flatten(1)
        share = moved.norm(dim=1) / before.flatten(1).norm(dim=1)
        torch.testing.assert_close(share, torch.full_like(share, RADIUS), atol=1e-4, rtol=1e-3)
        slope = clean.image[name].grad.flatten(1)
        along = torch.nn.functional.cosine_similarity(moved, slope)
        torch.testing.assert_close(along, torch.ones_like(along), atol=1e-3, rtol=0)
    assert torch.equal(clean.text["words_BW"], pushed.text["words_BW"])


def test_it_hurts_more_than_a_random_push_of_the_same_length(made):
    trainee, batch = made
    (clean, pushed), losses, mean, _ = run(made, RADIUS)
    assert mean == pytest.approx(sum(losses) / 2)
    torch.manual_seed(0)
    noise = {}
    for name, x in clean.image.items():
        away = torch.randn_like(x)
        size = (pushed.image[name] - x).flatten(1).norm(dim=1) / away.flatten(1).norm(dim=1)
        noise[name] = x.detach() + away * size.view(-1, *[1] * (x.ndim - 1))
    vectors = trainee.model(batch.text, noise)
    random = batch_loss(trainee.loss, replace(batch, image=noise), *vectors).item()
    assert losses[1] > losses[0]
    assert losses[1] > random


def test_the_gradient_is_the_mean_of_both(made):
    trainee, _ = made
    (clean, pushed), _, _, found = run(made, RADIUS)
    trainee.optimizer.zero_grad()
    for batch in (clean, pushed):
        vectors = trainee.model(batch.text, batch.image)
        (batch_loss(trainee.loss, batch, *vectors) / 2).backward()
    wanted = [w.grad for w in trainee.encoder.parameters() if w.grad is not None]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_a_push_of_nothing_is_the_clean_step(made):
    _, losses, mean, _ = run(made, 0.0)
    assert losses[0] == losses[1] == mean
