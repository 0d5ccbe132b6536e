"""xmodal/training/losses/matching.py: value, the negatives that are taken, and that it learns."""

from dataclasses import replace
from math import log

import pytest
import torch

from tests.training.losses.worked import MAP, make_batch, make_labels
from xmodal.training.losses.matching import Matching, cells_of


def make_head():
    torch.manual_seed(0)
    return Matching(8, 3)


def test_a_head_that_knows_nothing_costs_log_two_an_answer():
    head = make_head()
    torch.nn.init.zeros_(head.answer.weight)
    torch.nn.init.zeros_(head.answer.bias)
    assert head(make_batch(0.0, make_labels())).item() == pytest.approx(log(2))


def test_the_negatives_are_the_hardest_that_do_not_fit():
    head, batch = make_head(), make_batch(0.0, make_labels())
    cells, wanted = cells_of(MAP), []
    for i in range(6):
        image = max(_others(batch.to_image_BN[i]), key=lambda j: batch.scores_to_image_BN[i, j])
        text = max(_others(batch.to_text_BN[i]), key=lambda j: batch.scores_to_text_BN[i, j])
        for t, v, is_right in ((i, i, 1.0), (i, image, 0.0), (text, i, 0.0)):
            rows = batch.text_BD[t : t + 1], batch.image_BD[v : v + 1], cells[v : v + 1]
            logit, right = head._logits(*rows), torch.tensor([is_right])
            wanted.append(torch.nn.functional.binary_cross_entropy_with_logits(logit, right))
    torch.testing.assert_close(head(batch), sum(wanted) / 18)


def test_a_batch_without_negatives_costs_its_own_pairs_alone():
    batch = make_batch(0.0, make_labels())
    every = torch.ones_like(batch.to_image_BN)
    loss = make_head()(replace(batch, to_image_BN=every, to_text_BN=every))
    assert loss.isfinite()
    assert loss < make_head()(batch)


def test_the_head_and_the_vectors_learn():
    head, batch = make_head(), make_batch(0.0, make_labels())
    first = head(batch)
    steps = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(40):
        steps.zero_grad()
        head(batch).backward(retain_graph=True)
        steps.step()
    assert head(batch) < first / 2
    assert torch.autograd.grad(head(batch), batch.image_BD)[0].abs().sum() > 0


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (2, 50, 3)])
def test_a_map_and_tokens_both_become_twelve_cells(shape):
    lower = torch.ones(shape, dtype=torch.float16, requires_grad=True)
    cells = cells_of(lower)
    assert cells.shape == (2, 12, 3)
    assert cells.dtype == torch.float32
    assert not cells.requires_grad


def _others(fits):
    return (~fits).nonzero()[:, 0].tolist()
