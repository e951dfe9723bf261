"""Several processes without a wrapper: every rank holds the networks, and each phase averages one flat gradient.

Lightning's launchers and rendezvous (its own, torchrun, SLURM) stay. DistributedDataParallel does not fit a step
that differentiates twice and freezes one network after the other, and a generator's and a discriminator's gradients
are a hundred megabytes: one all-reduce a phase.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class FlatAllReduce(DDPStrategy):
    """DDP's processes and devices, with the module left unwrapped."""

    def configure_ddp(self) -> None:
        """Ranks begin equal because weights are a function of the seed, so nothing is broadcast or wrapped."""


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of `value` over all ranks, differentiable; `value` itself in a single process."""
    return all_reduce(value) / dist.get_world_size() if is_distributed() else value


@torch.no_grad()
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
