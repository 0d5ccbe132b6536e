"""xmodal/training/losses/attributes.py: value, and products that lack an attribute."""

from dataclasses import replace

import torch
from torch.nn.functional import cross_entropy

from tests.training.losses.worked import VALUE, make_batch, make_labels
from xmodal.training.losses.attributes import AttributeValues


def test_value_is_the_mean_entropy_over_products_that_have_the_attribute():
    batch, loss = make_batch(0.0, make_labels()), AttributeValues(8, (3, 2))
    wanted = []
    for head, value in zip(loss.heads, VALUE.T, strict=True):
        has = value > 0
        logits = head(8**0.5 * batch.image_BD[has])
        wanted.append(cross_entropy(logits, value[has] - 1))
    torch.testing.assert_close(loss(batch), sum(wanted) / 2)


def test_an_attribute_that_no_product_of_the_batch_has_costs_nothing():
    labels = make_labels()
    none = replace(labels.clues, value_BA=torch.zeros_like(VALUE))
    batch = make_batch(0.0, replace(labels, clues=none))
    assert AttributeValues(8, (3, 2))(batch).item() == 0.0


def test_the_heads_learn_what_the_vectors_tell():
    torch.manual_seed(0)
    batch, loss = make_batch(0.0, make_labels()), AttributeValues(8, (3, 2))
    steps = torch.optim.Adam(loss.parameters(), lr=0.1)
    for _ in range(60):
        steps.zero_grad()
        loss(batch).backward(retain_graph=True)
        steps.step()
    assert loss(batch).item() < 0.1
