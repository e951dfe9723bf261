"""What a synthesis network begins with at 4x4: a learned constant, or maps computed from the latent.

Karras et al. 2019, arXiv 1812.04948, figure 1, b and a.
"""

import math

import torch
from torch import Tensor, nn


class ConstantInput(nn.Module):
    """The learned 4x4 constant, ones at first: w [N, D] -> [N, C, 4, 4]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.ones(channels, 4, 4))

    def forward(self, w: Tensor) -> Tensor:
        return self.const.to(w.dtype).expand(len(w), -1, -1, -1)


class LatentInput(nn.Module):
    """The traditional input, a linear layer without bias: w [N, D] -> [N, C, 4, 4].

    Its gain is ProGAN's, a quarter of the others': 16 pixels share one latent.
    """

    def __init__(self, w_dim: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels * 16, w_dim))
        self.weight_gain = math.sqrt(2) / 4 / math.sqrt(w_dim)

    def forward(self, w: Tensor) -> Tensor:
        return (w @ (self.weight.to(w.dtype) * self.weight_gain).t()).unflatten(1, (-1, 4, 4))
