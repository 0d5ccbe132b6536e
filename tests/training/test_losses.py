"""xmodal/training/losses.py: value, meaning, gradient, and two workers = one."""

from math import log

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.functional import cross_entropy, normalize

from xmodal.training.losses import Fits, info_nce

ZERO = torch.tensor(0.0)


def test_equal_embeddings_cost_log_of_the_batch():
    row = torch.ones(4, 2) / 2**0.5
    assert info_nce(row, row, torch.arange(4), ZERO).item() == pytest.approx(log(4))


def test_value_is_torch_cross_entropy_with_its_label_smoothing():
    text, image = _pairs(5)
    logits, truth = 3.0 * text @ image.T, torch.arange(5)
    both = [cross_entropy(x, truth, label_smoothing=0.1) for x in (logits, logits.T)]
    ours = info_nce(text, image, truth, torch.tensor(3.0).log(), smoothing=0.1)
    torch.testing.assert_close(ours, sum(both) / 2)


def test_captions_of_one_product_do_not_repel():
    apart, together = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    one_shoe, two_shoes = torch.tensor([7, 7]), torch.tensor([7, 8])
    assert info_nce(together, together, one_shoe, ZERO) < info_nce(apart, apart, one_shoe, ZERO)
    assert info_nce(apart, apart, two_shoes, ZERO) < info_nce(together, together, two_shoes, ZERO)


def test_identical_captions_are_positives_of_each_other():
    apart, together = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    shoes, caption = torch.tensor([7, 8]), torch.tensor([3, 3])
    near = info_nce(together, together, shoes, ZERO, caption_B=caption)
    assert near < info_nce(apart, apart, shoes, ZERO, caption_B=caption)


def test_a_product_that_a_caption_fits_is_its_positive_and_not_of_the_others():
    text, image = _pairs(3)
    fits = torch.zeros(3, 3, dtype=torch.bool)
    fits[0, 2] = True  # text 0 fits image 2: in the other direction, image 2 has two texts
    ours = info_nce(text, image, torch.arange(3), ZERO, fits=Fits(fits, fits.T))
    target = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    back = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    expected = cross_entropy(text @ image.T, target) + cross_entropy(image @ text.T, back)
    torch.testing.assert_close(ours, expected / 2)


def test_gradient_is_that_of_finite_differences():
    text, image = (x.detach().double().requires_grad_() for x in _pairs(4))
    product, caption = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 2, 2])
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda t, i, s: info_nce(t, i, product, s, caption_B=caption, smoothing=0.1),
        (text, image, scale),
    )


def test_two_workers_give_the_loss_and_gradient_of_one(tmp_path):
    text, image = _pairs(6)
    loss = info_nce(text, image, torch.arange(6), ZERO, smoothing=0.1)
    loss.backward()
    mp.spawn(_half, args=(tmp_path,), nprocs=2)
    losses, gradients = zip(*(torch.load(tmp_path / f"{r}.pt") for r in range(2)), strict=True)
    torch.testing.assert_close(sum(losses) / 2, loss.detach())
    torch.testing.assert_close(torch.cat(gradients) / 2, text.grad)  # DDP's mean over two workers


def _half(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    rows = slice(rank * 3, rank * 3 + 3)
    text, image = (x.detach()[rows].requires_grad_() for x in _pairs(6))
    loss = info_nce(text, image, torch.arange(6)[rows], ZERO, smoothing=0.1)
    loss.backward()
    torch.save((loss.detach(), text.grad), folder / f"{rank}.pt")
    dist.destroy_process_group()


def _pairs(n):
    torch.manual_seed(0)
    return [normalize(torch.randn(n, 8)).detach().requires_grad_() for _ in range(2)]
