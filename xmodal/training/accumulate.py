"""Gradient accumulation that is exact: k parts give the very gradient of the whole batch.

Adding up the losses of k small batches is not the loss of the large one: each part would see
only its own negatives. Here every pair still meets all pairs of the batch on all workers. The
price is a second forward; the memory is that of one part.

Source: GradCache, arXiv 2101.06983, section 3.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from xmodal.settings import TrainingSettings
from xmodal.training.batches import Batch

if TYPE_CHECKING:
    from xmodal.training.loop import Trainee


def backward_in_parts(trainee: "Trainee", batch: Batch, recipe: TrainingSettings) -> Tensor:
    """Leave the batch's gradient on the parameters, `recipe.accumulate` parts at a time.

    Returns the loss in nats. Dropout draws the same in both forwards of a part.
    """
    from xmodal.training.loop import autocast, batch_loss

    parts = split(batch, recipe.accumulate)
    states, vectors = [], []
    with torch.no_grad(), autocast(trainee.device, recipe.precision):
        for text, image in parts:
            states.append(_random_state(trainee.device))
            vectors.append(trainee.encoder(text, image)[:2])
    leaves = [torch.cat(side).float().requires_grad_() for side in zip(*vectors, strict=True)]
    log_scale = trainee.encoder.log_scale.detach().clone().requires_grad_()
    loss = batch_loss(trainee.loss, batch, leaves[0], leaves[1], log_scale)
    loss.backward()
    slopes = zip(*(_slope(leaf).chunk(len(parts)) for leaf in leaves), strict=True)
    for number, ((text, image), slope) in enumerate(zip(parts, slopes, strict=True)):
        _set_random_state(trainee.device, states[number])
        with _sync(trainee, is_last=number == len(parts) - 1):
            with autocast(trainee.device, recipe.precision):
                text_BD, image_BD, scale = trainee.model(text, image)
            pull = (text_BD.float() * slope[0]).sum() + (image_BD.float() * slope[1]).sum()
            (pull + scale * _slope(log_scale) / len(parts)).backward()
    return loss.detach()


def split(batch: Batch, parts: int) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Cut the features of a batch, all passes of it, into `parts` of equal rows."""
    size = len(next(iter(batch.text.values()))) // parts
    return [
        (
            {name: x[k * size : (k + 1) * size] for name, x in batch.text.items()},
            {name: x[k * size : (k + 1) * size] for name, x in batch.image.items()},
        )
        for k in range(parts)
    ]


def _slope(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def _sync(trainee: "Trainee", is_last: bool) -> AbstractContextManager[None]:
    """DDP exchanges gradients in the last part alone, when all have been added up."""
    if isinstance(trainee.model, DistributedDataParallel) and not is_last:
        quiet: AbstractContextManager[None] = trainee.model.no_sync()
        return quiet
    return nullcontext()


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
