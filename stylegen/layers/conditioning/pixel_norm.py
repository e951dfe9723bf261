"""Pixel normalisation (Karras et al. 2018, arXiv 1710.10196, section 4.2): the layer without any condition."""

from typing import ClassVar

import torch
from torch import Tensor

from stylegen.layers.conditioning.base import Conditioning


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """x / sqrt(mean over channels of x^2 + eps): every pixel's features get length sqrt(C). [N, C, H, W]."""
    y = x.to(torch.promote_types(x.dtype, torch.float32))  # squares of half-precision values overflow
    return (y * (y.square().mean(dim=1, keepdim=True) + eps).rsqrt()).to(x.dtype)


class PixelNorm(Conditioning):
    """What stands in place of a style in a generator that has none (table 1, configurations A and B).

    Shape: [N, C, H, W] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "none"

    def normalize(self, x: Tensor) -> Tensor:
        return pixel_norm(x)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> None:
        return None
