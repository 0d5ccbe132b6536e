"""Adversarial training: each step also learns from its features pushed where they hurt the most.

One push a step. More of them (PGD) would cost a forward and a backward each.

Shapes: B rows of features.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor

from xmodal.training.batches import Batch, Features

_LEAST = 1e-20  # a gradient below it is none


def backward_with_adversary(
    batch: Batch,
    radius: float,
    backward: Callable[[Batch], Tensor],
    weights: Iterable[Tensor],
) -> Tensor:
    """Leave on `weights` the mean gradient of the batch and of its adversary; return that loss.

    Args:
        radius: length of a row's push, as a share of the row's own norm.
        backward: leaves a batch's gradient, and returns its loss detached or not.

    Source: fast gradient method, Miyato, Dai & Goodfellow, arXiv 1605.07725, eq. 8, on the cached
    features of texts and pictures; both losses count alike, here by half.
    """
    clean = replace(batch, text=_leaves(batch.text), image=_leaves(batch.image))
    loss = backward(clean).detach()
    text, image = _pushed(clean.text, radius), _pushed(clean.image, radius)
    loss = (loss + backward(replace(batch, text=text, image=image)).detach()) / 2
    for weight in weights:
        if weight.grad is not None:
            weight.grad.div_(2)
    return loss


def _leaves(features: Features) -> Features:
    """The features in float32, taking gradients; word and token numbers as they are."""
    return {
        # Half precision would lose small gradients.
        name: x.detach().float().requires_grad_() if x.is_floating_point() else x
        for name, x in features.items()
    }


def _pushed(features: Features, radius: float) -> Features:
    """Each row moved along its gradient; what got none stays."""
    return {name: x if x.grad is None else _push(x, x.grad, radius) for name, x in features.items()}


def _push(rows: Tensor, slope: Tensor, radius: float) -> Tensor:
    with torch.no_grad():
        each = (-1, *[1] * (rows.ndim - 1))
        steep_B = slope.flatten(1).norm(dim=1).clamp(min=_LEAST)
        length_B = radius * rows.flatten(1).norm(dim=1)
        pushed: Tensor = rows + (length_B / steep_B).view(each) * slope
        return pushed
