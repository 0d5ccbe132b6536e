"""xmodal/training/losses/bias.py: value by hand, and what it does not count."""

from math import exp

import pytest
import torch

from tests.training.losses.worked import GROUP, IS_NEUTRAL, make_batch, make_labels
from xmodal.training.losses.bias import BiasPenalty, group_gap
from xmodal.training.losses.contract import Clues, Labels, meet
from xmodal.training.losses.info_nce import InfoNce

GROUPS = torch.tensor([1, 1, 2, 2])


def batch_of(is_neutral, groups=GROUPS, log_scale=0.0):
    """Four queries; the products of the first group lie nearer to all of them."""
    text = torch.tensor([[1.0, 0.0]] * 4, requires_grad=True)
    image = torch.tensor([[0.8, 0.6], [0.8, 0.6], [0.6, 0.8], [0.6, 0.8]], requires_grad=True)
    clues = Clues(torch.ones(4, 1, dtype=torch.long), groups, torch.tensor(is_neutral))
    labels = Labels(torch.arange(4), clues=clues)
    return meet(text, image, torch.tensor(log_scale), labels)


def test_value_is_the_squared_difference_of_two_means():
    assert group_gap(batch_of([True] * 4), 2).item() == pytest.approx(0.2**2)
    warm = group_gap(batch_of([True] * 4, log_scale=1.0), 2)
    assert warm.item() == pytest.approx((0.2 * exp(1.0)) ** 2)


def test_own_products_and_queries_that_name_a_group_do_not_count():
    batch = make_batch(0.0, make_labels())
    counts = IS_NEUTRAL[:, None] & ~batch.to_image_BN
    means = [batch.scores_to_image_BN[counts & (g == GROUP)].mean() for g in (1, 2)]
    torch.testing.assert_close(group_gap(batch, 2), (means[0] - means[1]) ** 2)
    assert group_gap(batch_of([False] * 4), 2).item() == 0.0


def test_of_three_groups_it_is_the_mean_over_pairs():
    batch = batch_of([True] * 4, torch.tensor([1, 2, 3, 0]))
    gaps = [0.0, 0.2**2, 0.2**2]  # 1 and 2, 1 and 3, 2 and 3
    assert group_gap(batch, 3).item() == pytest.approx(sum(gaps) / 3)
    assert group_gap(batch, 9).item() == pytest.approx(sum(gaps) / 3)


@pytest.mark.parametrize("groups", [[1, 1, 1, 1], [0, 0, 0, 0]])
def test_fewer_than_two_groups_have_no_gap(groups):
    batch = batch_of([True] * 4, torch.tensor(groups))
    loss = BiasPenalty(InfoNce(), 5.0, 2)(batch)
    loss.backward()
    torch.testing.assert_close(loss, InfoNce()(batch))


def test_its_gradient_closes_the_gap():
    batch = batch_of([True] * 4)
    slope = torch.autograd.grad(group_gap(batch, 2), batch.image_BD)[0][:, 0]
    assert (slope[:2] > 0).all()
    assert (slope[2:] < 0).all()
