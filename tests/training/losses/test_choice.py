"""xmodal/training/losses/choice.py: what holds of all that is added to a loss."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.training.losses.worked import make_labels, make_rows
from xmodal.settings import TrainingSettings
from xmodal.training.losses.choice import Sizes, compose, make_loss
from xmodal.training.losses.contract import meet

ADDED = {
    "attributes": {"tasks": ("attributes",)},
    "relevance": {"tasks": ("relevance",)},
    "matching": {"tasks": ("matching",)},
    "self": {"tasks": ("self",)},
    "consistency": {"consistency": 1.5},
    "bias": {"bias_attribute": "gender", "bias_share": 0.7},
    "all": {
        "loss": "siglip",
        "tasks": ("self", "matching", "relevance", "attributes"),
        "matryoshka": (4,),
        "consistency": 1.0,
        "bias_attribute": "gender",
        "bias_share": 0.1,
    },
}
SIZES = Sizes(dim=8, channels=3, values=(3, 2), groups=2)
SCALE = 1.5


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """By addition: what each of two workers got, of three pairs each."""
    folder = tmp_path_factory.mktemp("two")
    mp.spawn(_half, args=(folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", ADDED)
def test_two_workers_give_the_loss_and_gradient_of_one(name, halves):
    whole, two = evaluate(name, slice(None)), [half[name] for half in halves]
    torch.testing.assert_close(sum(h["loss"] for h in two) / 2, whole["loss"])
    for rows in range(4):  # DDP's mean over two workers
        found = torch.cat([h["rows"][rows] for h in two]) / 2
        torch.testing.assert_close(found, whole["rows"][rows], atol=1e-6, rtol=1e-5)
    for own, gradient in whole["own"].items():
        found = sum(h["own"][own] for h in two) / 2
        torch.testing.assert_close(found, gradient, atol=1e-6, rtol=1e-5, msg=own)


@pytest.mark.parametrize("name", ADDED)
def test_gradient_is_that_of_finite_differences(name):
    loss = make(name).double()
    # The temperature is left out: the penalty on bias takes it for a constant.
    rows = [x.detach().double().requires_grad_() for x in make_passes()]
    torch.autograd.gradcheck(
        lambda *all_rows: loss(meet_passes(all_rows[:4], slice(None))),
        (*rows, *loss.parameters()),
        fast_mode=True,  # a head has thousands of weights
    )


@pytest.mark.parametrize("name", ["info_nce", "siglip", "gcl", "margin", "distill"])
def test_without_additions_a_loss_is_to_the_bit_what_it_was(name):
    recipe = TrainingSettings(loss=name, teacher="t")
    plain = make_loss(name, recipe.label_smoothing, recipe.loss_share)
    composed = compose(recipe, SIZES)
    assert type(composed) is type(plain)
    found = [evaluate_plain(loss) for loss in (plain, composed)]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("name", ADDED)
def test_every_weight_of_a_loss_gets_a_gradient(name):
    assert all(gradient is not None for gradient in evaluate(name, slice(None))["own"].values())


def make(name):
    torch.manual_seed(0)
    return compose(TrainingSettings(**ADDED[name]), SIZES)


def make_passes():
    return *make_rows(), *make_rows(seed=2)


def meet_passes(rows, part):
    scale, labels = torch.tensor(SCALE, dtype=rows[0].dtype), make_labels(part)
    return replace(meet(*rows[:2], scale, labels), again=meet(*rows[2:], scale, labels))


def evaluate(name, part):
    rows, loss = [x.detach()[part].requires_grad_() for x in make_passes()], make(name)
    value = loss(meet_passes(rows, part))
    value.backward()
    zeros = [torch.zeros_like(x) if x.grad is None else x.grad for x in rows]
    own = {weight: x.grad for weight, x in loss.named_parameters()}
    return {"loss": value.detach(), "rows": zeros, "own": own}


def evaluate_plain(loss):
    text, image = make_rows()
    value = loss(meet(text, image, torch.tensor(SCALE), make_labels()))
    value.backward()
    return value.detach(), text.grad, image.grad


def _half(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    rows = slice(rank * 3, rank * 3 + 3)
    torch.save({name: evaluate(name, rows) for name in ADDED}, folder / f"{rank}.pt")
    dist.destroy_process_group()
