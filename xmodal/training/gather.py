"""Rows of all workers, with gradients, by the public collectives of torch.distributed.

Shapes: B rows on this worker, N = B x workers.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def gather_rows(rows_B: Tensor) -> Tensor:
    """All workers' rows, (N, ...) in rank order; its gradient sums what every worker sends back.

    Without a process group, or with one worker, the rows come back as they are. B must be
    alike on all workers.
    """
    if world_size() == 1:
        return rows_B
    if rows_B.requires_grad and torch.is_grad_enabled():
        gathered: Tensor = _Gather.apply(rows_B)
        return gathered
    return _all_gather(rows_B)


def world_size() -> int:
    """Number of workers; 1 where no process group was made."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def world_rank() -> int:
    """This worker's number; 0 where no process group was made."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _Gather(torch.autograd.Function):
    """Forward: all_gather. Backward: the sum over workers of the gradient of my rows."""

    @staticmethod
    def forward(_: Any, rows_B: Tensor) -> Tensor:
        return _all_gather(rows_B)

    @staticmethod
    @once_differentiable
    def backward(_: Any, grad_N: Tensor) -> Tensor:
        # A row serves as a negative on every worker: leave the sum out, and each worker's
        # loss pulls only on its own rows (two workers then no longer equal one).
        total_N = grad_N.contiguous().clone()
        dist.all_reduce(total_N)
        return total_N.chunk(dist.get_world_size())[dist.get_rank()]


def _all_gather(rows_B: Tensor) -> Tensor:
    rows_N = rows_B.new_empty((rows_B.shape[0] * dist.get_world_size(), *rows_B.shape[1:]))
    dist.all_gather_into_tensor(rows_N, rows_B.detach().contiguous())
    return rows_N
