"""Several processes: every rank holds the networks and a share of the batch; sums across the batch are reduced here."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _GatherOverRanks(torch.autograd.Function):
    """Every rank computes the same loss of all rows, and gradients are averaged over ranks afterwards.

    So a rank's own rows take their gradient times the number of ranks, and nothing is sent back.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        ranks = dist.get_world_size()
        return grad_outputs[0].chunk(ranks)[dist.get_rank()] * ranks


def gather_over_ranks(rows: Tensor) -> Tensor:
    """The rows of all ranks, rank by rank, differentiable once: [n, ...] -> [ranks * n, ...]."""
    return _GatherOverRanks.apply(rows) if is_distributed() else rows


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of `value` over all ranks, not differentiated; `value` itself in a single process."""
    return sum_over_ranks(value) / dist.get_world_size() if is_distributed() else value


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of `value` over all ranks, for counting: exact, and not differentiated."""
    if is_distributed():
        value = value.clone()
        dist.all_reduce(value)
    return value


def largest_over_ranks(value: float, device: torch.device) -> float:
    """The largest of the ranks' values, the same on all of them."""
    tensor = torch.tensor(value, device=device)
    if is_distributed():
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tensor.item()


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over ranks: one all-reduce of one flat tensor."""
    if not is_distributed():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
