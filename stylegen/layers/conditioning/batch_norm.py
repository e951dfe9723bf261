"""Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167) with the batch of all ranks.

By what a map is normalised:

    training     the batch, over samples, pixels and ranks; the running statistics follow with momentum 0.1
    evaluation   the running statistics; or the batch, or standing statistics (Brock et al. 2019, arXiv 1809.11096,
                 section 4.1), which pool batches of the very weights that are evaluated

Running statistics belong to the weights that trained. A moving average of weights has others, so its own are to be
taken with `standing_statistics` before it draws.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from stylegen.distributed import differentiable_sum_over_ranks, world_size
from stylegen.errors import UserError
from stylegen.layers.conditioning.base import Unconditional


class _Pool:
    """Count, mean and scatter of all that was added, merged batch by batch (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.scatter = 0, torch.zeros(()), torch.zeros(())

    def add(self, mean: Tensor, var: Tensor, count: int) -> None:
        total, delta = self.count + count, mean - self.mean.to(mean)
        self.scatter = self.scatter.to(mean) + var * count + delta.square() * (self.count * count / total)
        self.mean, self.count = self.mean.to(mean) + delta * (count / total), total


class BatchStatistics(nn.Module):
    """(x - mean) / sqrt(var + eps) with a mean and a variance for each channel.

    Args:
        channels: C.
        momentum: share of the batch in the running statistics after a step.
        eps: added to the variance.
        evaluation: by what an evaluation normalises, "running" or "batch". Standing statistics are running ones that
            `standing_statistics` has replaced.

    Attributes:
        running_mean, running_var: [C]; the variance is unbiased, that of the batch is not.

    Shape: [N, C, H, W] -> [N, C, H, W].

    Raises:
        UserError: a single picture in training, or a batch of one value a channel.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5, evaluation: str = "running") -> None:
        super().__init__()
        self.momentum, self.eps, self.evaluation = momentum, eps, evaluation
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self._pool: _Pool | None = None

    def forward(self, x: Tensor) -> Tensor:
        y = x.to(torch.promote_types(x.dtype, torch.float32))  # a variance of half-precision values underflows
        if self.training or self._pool is not None or self.evaluation == "batch":
            y, var = self._centred(y)
        else:
            y, var = y - self.running_mean[:, None, None], self.running_var
        return (y * (var + self.eps).rsqrt()[:, None, None]).to(x.dtype)

    def _centred(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x minus the batch's mean, and the batch's biased variance [C]. What watches the batch is told of both."""
        # An evaluation, standing statistics among them, is every process's own.
        ranks = world_size() if self.training else 1
        count = len(x) * x.shape[2] * x.shape[3] * ranks
        if (self.training and len(x) == 1) or count < 2:
            raise UserError(
                f"batch normalisation of {len(x)} picture(s) a process, {x.shape[2]}x{x.shape[3]} pixels",
                rule="a single one is normalised by itself, and little of it is left",
                fix="Use a batch_size of 2 pictures or more for each process, or another generator.conditioning",
            )
        mean = self._sum(x, ranks) / count
        y = x - mean[:, None, None]  # then the squares: the variance as a difference of means would cancel
        var = self._sum(y.square(), ranks) / count
        with torch.no_grad():
            if self._pool is not None:
                self._pool.add(mean, var, count)
            elif self.training:
                self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
                self.running_var.lerp_((var * (count / (count - 1))).to(self.running_var), self.momentum)
        return y, var

    @staticmethod
    def _sum(x: Tensor, ranks: int) -> Tensor:
        """Over samples, pixels, and ranks that have as many of them: [C]."""
        total = x.sum(dim=(0, 2, 3))
        return differentiable_sum_over_ranks(total) if ranks > 1 else total


@contextmanager
def standing_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, every batch that the network meets is pooled; afterwards the running statistics are those of all.

    Each batch is normalised by itself. The variance is unbiased, over all samples and pixels. Draws nothing and
    changes nothing where the network has no batch normalisation, or where it meets no batch.
    """
    norms = batch_statistics(network)
    for norm in norms:
        norm._pool = _Pool()
    try:
        yield
    finally:
        for norm in norms:
            pool, norm._pool = norm._pool, None
            if pool is not None and pool.count:
                norm.running_mean.copy_(pool.mean)
                norm.running_var.copy_(pool.scatter / (pool.count - 1))


def batch_statistics(network: nn.Module) -> list[BatchStatistics]:
    """All of the network's, in order."""
    return [module for module in network.modules() if isinstance(module, BatchStatistics)]


class BatchNorm(Unconditional):
    """batch_norm(x) * (1 + scale) + shift with a scale and a shift for each channel.

    Shape: [N, C, H, W] -> [N, C, H, W].
    """

    needs_batch: ClassVar[bool] = True

    def __init__(self, channels: int, condition_dim: int = 0) -> None:
        super().__init__(channels, condition_dim)
        self.statistics = BatchStatistics(channels)

    def normalize(self, x: Tensor) -> Tensor:
        return self.statistics(x)
