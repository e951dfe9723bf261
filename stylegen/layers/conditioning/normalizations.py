"""Normalizations that use the statistics of one sample: [N, C, H, W] -> [N, C, H, W], without parameters or buffers.

Each computes in float32 or wider: the variance of half-precision values underflows, and their squares overflow. The
modules take the number of channels, as `batch_norm.BatchNorm` does, and ignore it. eps is 1e-8 in the papers of ProGAN
and StyleGAN, 1e-5 elsewhere.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegen.errors import UserError


class PixelNorm(nn.Module):
    """x / sqrt(mean over channels of x^2 + eps), so that every pixel's feature vector has length sqrt(C)."""

    def __init__(self, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        return (y * (y.square().mean(dim=1, keepdim=True) + self.eps).rsqrt()).to(x.dtype)


class InstanceNorm(nn.Module):
    """(x - mean) / sqrt(var + eps), mean and biased variance of each channel of each sample.

    Raises:
        UserError: a 1x1 feature map, which has no variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] < 2:
            raise UserError(
                f"instance normalization of a {x.shape[2]}x{x.shape[3]} map",
                rule="a feature map of one pixel equals its mean, so the output would be zero",
                fix="Use generator.conditioning=layer_film or generator.conditioning=batch_film",
            )
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        y = F.instance_norm(y, eps=self.eps).to(x.dtype)
        # The kernel drops the channels-last layout of the convolutions around it.
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        return y.contiguous(memory_format=torch.channels_last) if channels_last else y


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(var + eps), mean and biased variance over channels and pixels of each sample."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.to(torch.promote_types(x.dtype, torch.float32))
        y = y - y.mean(dim=(1, 2, 3), keepdim=True)
        return (y * (y.square().mean(dim=(1, 2, 3), keepdim=True) + self.eps).rsqrt()).to(x.dtype)
