"""xmodal/training/losses/contract.py: what holds of every loss."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.training.losses.worked import make_labels, make_rows
from xmodal.training.losses.contract import Labels, meet
from xmodal.training.losses.distill import Distill
from xmodal.training.losses.gcl import Gcl
from xmodal.training.losses.info_nce import InfoNce
from xmodal.training.losses.margin import Margin
from xmodal.training.losses.siglip import SigLip

LOSSES = {
    "info_nce": lambda: InfoNce(0.1),
    "siglip": SigLip,
    "gcl": lambda: Gcl(0.1),
    "margin": lambda: Margin(0.1, 0.7),
    "distill": lambda: Distill(0.1, 0.7),
}
SCALE = 1.5


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """By loss: what each of two workers got, of three pairs each."""
    folder = tmp_path_factory.mktemp("two")
    mp.spawn(_half, args=(folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", LOSSES)
def test_two_workers_give_the_loss_and_gradient_of_one(name, halves):
    whole = evaluate(LOSSES[name](), slice(None))
    two = [half[name] for half in halves]
    torch.testing.assert_close(sum(h["loss"] for h in two) / 2, whole["loss"])
    # DDP's mean over two workers
    torch.testing.assert_close(torch.cat([h["text"] for h in two]) / 2, whole["text"])
    torch.testing.assert_close(torch.cat([h["image"] for h in two]) / 2, whole["image"])
    for own in whole["own"]:
        torch.testing.assert_close(sum(h["own"][own] for h in two) / 2, whole["own"][own])


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_finite_differences(name):
    loss, labels = LOSSES[name]().double(), make_labels()
    text, image = (x.detach().double().requires_grad_() for x in make_rows())
    scale = torch.tensor(SCALE, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda t, i, s, *_: loss(meet(t, i, s, labels)), (text, image, scale, *loss.parameters())
    )


@pytest.mark.parametrize("name", LOSSES)
def test_what_belongs_together_costs_less_together_than_apart(name):
    labels = make_labels()
    together = torch.eye(5)[labels.product_B].requires_grad_()
    near = LOSSES[name]()(meet(together, together, torch.tensor(3.0), labels))
    far = LOSSES[name]()(meet(together, together.roll(1, 0), torch.tensor(3.0), labels))
    assert near < far


def test_weights_are_scaled_to_a_mean_of_one():
    batch = meet(
        *make_rows(2), torch.tensor(0.0), Labels(torch.arange(2), weight_B=torch.tensor([1.0, 3.0]))
    )
    assert batch.weight_B.tolist() == [0.5, 1.5]


def evaluate(loss, rows):
    text, image = (x.detach()[rows].requires_grad_() for x in make_rows())
    value = loss(meet(text, image, torch.tensor(SCALE), make_labels(rows)))
    value.backward()
    own = {name: weight.grad for name, weight in loss.named_parameters()}
    return {"loss": value.detach(), "text": text.grad, "image": image.grad, "own": own}


def _half(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    rows = slice(rank * 3, rank * 3 + 3)
    torch.save({n: evaluate(make(), rows) for n, make in LOSSES.items()}, folder / f"{rank}.pt")
    dist.destroy_process_group()
