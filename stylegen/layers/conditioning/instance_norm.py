"""Instance normalisation (Ulyanov et al. 2016, arXiv 1607.08022)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.errors import UserError
from stylegen.layers.conditioning.base import Unconditional


def instance_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """(x - mean) / sqrt(var + eps), mean and biased variance of each map of each sample: [N, C, H, W].

    Raises:
        UserError: a map of one pixel, which has no variance.
    """
    if x.shape[2] * x.shape[3] < 2:
        raise UserError(
            f"instance normalisation of a {x.shape[2]}x{x.shape[3]} map",
            rule="one pixel is its own mean, and nothing of it is left",
            fix="Normalise maps of 2 pixels or more, or use generator.conditioning=layer_film or batch_film",
        )
    y = x.to(torch.promote_types(x.dtype, torch.float32))  # a variance of half-precision values underflows
    y = F.instance_norm(y, eps=eps).to(x.dtype)
    # The kernel drops the channels-last layout, in which the convolutions around it run.
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return y.contiguous(memory_format=torch.channels_last) if channels_last else y


class InstanceNorm(Unconditional):
    """instance_norm(x) * (1 + scale) + shift with a scale and a shift for each channel.

    Shape: [N, C, H, W] -> [N, C, H, W].
    """

    def normalize(self, x: Tensor) -> Tensor:
        return instance_norm(x, eps=1e-5)
