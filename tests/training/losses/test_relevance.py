"""xmodal/training/losses/relevance.py: value by hand, and meaning."""

import pytest
import torch

from xmodal.training.losses.contract import Labels, meet
from xmodal.training.losses.relevance import Relevance

WEIGHT = torch.tensor([1.0, 4.0])


def cost(text, image):
    labels = Labels(torch.arange(2), weight_B=WEIGHT)
    return Relevance()(meet(text, image, torch.tensor(0.0), labels)).item()


def test_value_is_that_by_hand():
    text, image = torch.eye(2), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    # Relevances 1/4 and 1; cosines of own pairs 0.6 and 1, of the negatives 0 and 0.8.
    rows = [(0.6 - 0.25) ** 2 + 0.0, 0.0 + 0.8**2]
    assert cost(text, image) == pytest.approx(sum(rows) / 2 / 2)


def test_it_costs_nothing_where_every_cosine_is_the_relevance():
    light = [0.25, 0.0, (1 - 0.25**2) ** 0.5]
    image = torch.tensor([light, [0.0, 1.0, 0.0]])
    assert cost(torch.eye(3)[:2], image) == pytest.approx(0.0, abs=1e-7)


def test_one_vector_for_all_is_no_way_out():
    one = torch.tensor([[1.0, 0.0]] * 2)
    assert cost(one, one) > cost(torch.eye(2), torch.eye(2))
