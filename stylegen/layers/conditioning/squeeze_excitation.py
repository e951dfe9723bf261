"""Squeeze and excitation (Hu et al. 2018, arXiv 1709.01507, Eq. 2 to 4), plain and told a vector."""

from typing import ClassVar

import torch
from torch import Tensor

from stylegen.layers.conditioning.base import Affine, Conditioning
from stylegen.layers.equalized import EqualizedLinear

_REDUCTION = 16  # the paper's r
_LEAST_WIDTH = 4  # for layers so narrow that a sixteenth is nothing


class ConditionalSqueezeExcitation(Conditioning):
    """x * g, g = 2 sigmoid(W2 relu(W1 [mean of x over pixels; vector])), without normalisation and without shift.

    The paper's gate is the sigmoid alone. Twice that is 1 at zero weights, where the layer then changes nothing, and a
    factor of 2 is the next convolution's to undo. 1 + scale = g, so scale = tanh(u / 2) for u before the sigmoid.

    Args:
        channels: C of x; the hidden layer has C / 16, but at least 4.
        condition_dim: D of the vector, 0 for none.

    Shape: x [N, C, H, W], vector [N, D] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "vector"

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        width = max(channels // _REDUCTION, _LEAST_WIDTH)
        self.squeeze = EqualizedLinear(channels + condition_dim, width, "relu")
        self.excite = EqualizedLinear(width, channels)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        # A mean of many half-precision values loses bits.
        means = x.to(torch.promote_types(x.dtype, torch.float32)).mean(dim=(2, 3))
        given = means if condition is None else torch.cat([means, condition.to(means.dtype)], dim=1)
        u = self.excite(self.squeeze(given))
        return Affine((u / 2).tanh(), x.new_zeros(self.channels))


class SqueezeExcitation(ConditionalSqueezeExcitation):
    """x * g, g = 2 sigmoid(W2 relu(W1 mean of x over pixels)): [N, C, H, W] -> [N, C, H, W]."""

    kind: ClassVar[str] = "none"

    def __init__(self, channels: int, condition_dim: int = 0) -> None:
        super().__init__(channels, 0)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return super().affine_of(x, None)
