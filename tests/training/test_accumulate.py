"""xmodal/training/accumulate.py: the gradient of a batch in parts is that of the whole."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from tests.training.losses.test_contract import LOSSES
from tests.training.toy import make_plan
from xmodal.retrieval.embed import open_store
from xmodal.settings import TrainingSettings
from xmodal.training.accumulate import backward_in_parts
from xmodal.training.batches import Sampler
from xmodal.training.captions import load_table
from xmodal.training.loop import batch_loss
from xmodal.training.losses.contract import Teacher
from xmodal.training.texts import TextStore
from xmodal.training.worker import make_trainee


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return make_plan(tmp_path_factory.mktemp("toy"))


@pytest.mark.parametrize("name", LOSSES)
def test_four_parts_give_the_gradient_of_one(name, plan):
    recipe = TrainingSettings(**plan.training | {"loss": name, "teacher": "t", "accumulate": 4})
    trainee = make_trainee(plan, recipe, 1, torch.device("cpu"), lambda model: model)
    batch = replace(next(make_sampler(plan).epoch(0)), teacher=make_teacher())
    loss = batch_loss(trainee.loss, batch, *trainee.model(batch.text, batch.image))
    loss.backward()
    weights = dict(trainee.encoder.named_parameters()) | dict(trainee.loss.named_parameters())
    whole = {n: w.grad.clone() for n, w in weights.items() if w.grad is not None}
    trainee.optimizer.zero_grad()
    torch.testing.assert_close(backward_in_parts(trainee, batch, recipe), loss.detach())
    assert whole.keys() == {n for n, w in weights.items() if w.grad is not None}
    for n, gradient in whole.items():
        torch.testing.assert_close(weights[n].grad, gradient, atol=1e-6, rtol=1e-4, msg=n)


def make_sampler(plan):
    return Sampler(
        *(
            open_it(Path(where))
            for open_it, where in (
                (load_table, plan.data),
                (open_store, plan.images),
                (TextStore, plan.texts),
            )
        ),
        8,
        0.2,
        0,
    )


def make_teacher():
    torch.manual_seed(1)
    text, image = (normalize(torch.randn(8, 5), dim=1) for _ in range(2))
    return Teacher(text, image, log_scale=2.0)
