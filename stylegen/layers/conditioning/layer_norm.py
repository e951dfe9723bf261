"""Layer normalisation (Ba et al. 2016, arXiv 1607.06450) as generators use it."""

import torch
from torch import Tensor

from stylegen.layers.conditioning.base import Unconditional


def layer_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps), mean and biased variance of all features of a sample: [N, C, H, W]."""
    y = x.to(torch.promote_types(x.dtype, torch.float32))  # a variance of half-precision values underflows
    y = y - y.mean(dim=(1, 2, 3), keepdim=True)
    return (y * (y.square().mean(dim=(1, 2, 3), keepdim=True) + eps).rsqrt()).to(x.dtype)


class LayerNorm(Unconditional):
    """layer_norm(x) * (1 + scale) + shift.

    Scale and shift stand for channels, so that a map may have any size; `torch.nn.LayerNorm` has one for each element.

    Shape: [N, C, H, W] -> [N, C, H, W].
    """

    def normalize(self, x: Tensor) -> Tensor:
        return layer_norm(x)
