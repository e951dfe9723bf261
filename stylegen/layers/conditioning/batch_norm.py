"""Batch normalization (Ioffe and Szegedy 2015, arXiv 1502.03167) over the batch of all ranks.

    training     statistics of the batch, over samples, pixels and ranks; running statistics follow with momentum 0.1
    evaluation   running statistics; or the batch's; or standing statistics (Brock et al. 2019, arXiv 1809.11096,
                 section 4.1), pooled over many batches of the network that is evaluated

Running statistics describe the weights that were trained. An EMA of the weights needs statistics of its own: collect
them with `standing_statistics` before the EMA generates images.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stylegen.distributed import differentiable_sum_over_ranks, world_size
from stylegen.errors import UserError


class _Pool:
    """Count, mean and sum of squared deviations, merged batch by batch (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.scatter = 0, torch.zeros(()), torch.zeros(())

    def add(self, mean: Tensor, var: Tensor, count: int) -> None:
        total, delta = self.count + count, mean - self.mean.to(mean)
        self.scatter = self.scatter.to(mean) + var * count + delta.square() * (self.count * count / total)
        self.mean, self.count = self.mean.to(mean) + delta * (count / total), total


class BatchNorm(nn.Module):
    """(x - mean) / sqrt(var + eps), mean and variance of each channel.

    Args:
        channels: C.
        momentum: weight of the batch in each update of the running statistics.
        eps: added to the variance.
        evaluation: statistics used in evaluation mode, "running" or "batch". `standing_statistics` replaces the
            running ones.

    Attributes:
        running_mean, running_var: [C]; the running variance is unbiased, the batch variance biased, as in PyTorch.

    Shape: [N, C, H, W] -> [N, C, H, W].

    Raises:
        UserError: one image per process in training, or one value per channel.
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
        y = x.to(torch.promote_types(x.dtype, torch.float32))  # the variance of half-precision values underflows
        if self.training or self._pool is not None or self.evaluation == "batch":
            y, var = self._centered(y)
        else:
            y, var = y - self.running_mean[:, None, None], self.running_var
        return (y * (var + self.eps).rsqrt()[:, None, None]).to(x.dtype)

    def _centered(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x minus the batch mean, and the biased batch variance [C]; updates running statistics and pool."""
        # In evaluation mode each process uses its own batch.
        ranks = world_size() if self.training else 1
        count = len(x) * x.shape[2] * x.shape[3] * ranks
        if (self.training and len(x) == 1) or count < 2:
            raise UserError(
                f"batch normalization of {len(x)} image(s) per process, {x.shape[2]}x{x.shape[3]} pixels",
                rule="a single image would be normalized by its own statistics",
                fix="Use a batch_size of 2 or more images per process, or another generator.conditioning",
            )
        mean = self._sum(x, ranks) / count
        y = x - mean[:, None, None]  # E[x^2] - mean^2 would cancel, so the variance uses centered values
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
        """Sum over samples, pixels and ranks: [N, C, H, W] -> [C]."""
        total = x.sum(dim=(0, 2, 3))
        return differentiable_sum_over_ranks(total) if ranks > 1 else total


@contextmanager
def standing_statistics(network: nn.Module) -> Iterator[None]:
    """Context manager: replaces running statistics with the statistics of all batches processed inside it.

    Each batch is normalized by its own statistics. The pooled variance is unbiased, over all samples and pixels. Has
    no effect without batch normalization or without a batch.
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


def batch_statistics(network: nn.Module) -> list[BatchNorm]:
    """The network's batch normalizations, in order."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]
