"""Weights that begin with the variance that keeps the second moment (He et al. 2015, arXiv 1502.01852), for networks
without normalization and without run-time scales."""

import math

from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU
LRELU_GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the second moment through it (their equation 15)


def initialize(weight: Tensor, gain: float = 1.0) -> None:
    """Fill [O, I, ...] from N(0, gain^2 / fan_in), fan_in the number of weights of an output."""
    nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))


class Conv2d(nn.Conv2d):
    """Convolution in the dtype of its input. Weights begin as N(0, gain^2 / fan_in), biases as zeros.

    Args:
        in_channels, out_channels, kernel_size: side k, odd; the output has the input's size.
        groups: groups of channels; outputs of a group depend on its inputs only.
        bias: whether there is one.
        gain: gain of the initial weights; 0 for weights of zero.

    Shape: [N, I, H, W] -> [N, O, H, W].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        groups: int = 1,
        bias: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=bias)
        initialize(self.weight, gain)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return self._conv_forward(x, self.weight.to(x.dtype), bias)
