"""Inputs of synthesis networks: StyleGAN's (Karras et al. 2019, arXiv 1812.04948, figure 1) and R3GAN's (Huang et al.
2024, arXiv 2501.05441, section 3).

StyleGAN: a learned 4x4 constant (b) or 4x4 maps computed from the latent (a), and noise after every convolution (b).
"""

import math

import torch
from torch import Tensor, nn

from stylegen.layers.variance_scaling import initialize


class ConstantInput(nn.Module):
    """The learned 4x4 constant, initialized to one: w [N, D] -> [N, C, 4, 4]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.ones(channels, 4, 4))

    def forward(self, w: Tensor) -> Tensor:
        return self.const.to(w.dtype).expand(w.shape[0], -1, -1, -1)


class LatentInput(nn.Module):
    """The traditional input, a linear layer without bias: w [N, D] -> [N, C, 4, 4].

    Its gain is ProGAN's, a quarter of the other layers', because 16 pixels share one latent.
    """

    def __init__(self, w_dim: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels * 16, w_dim))
        self.weight_gain = math.sqrt(2) / 4 / math.sqrt(w_dim)

    def forward(self, w: Tensor) -> Tensor:
        return (w @ (self.weight.to(w.dtype) * self.weight_gain).t()).unflatten(1, (-1, 4, 4))


class BasisInput(nn.Module):
    """R3GAN: 4x4 maps B scaled by the latent: B_c (A w)_c, with B from N(0, 1) and A from N(0, 1 / D).

    Shape: w [N, D] -> [N, C, 4, 4].
    """

    def __init__(self, w_dim: int, channels: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(channels, 4, 4))
        self.affine = nn.Linear(w_dim, channels, bias=False)
        initialize(self.affine.weight)

    def forward(self, w: Tensor) -> Tensor:
        return self.basis * self.affine(w)[:, :, None, None]


class NoiseInput(nn.Module):
    """x + strength * noise, with one noise map per sample and one learned strength per channel, initially zero.

    Args:
        channels: C of x.
        resolution: side of x.

    Shape: x [N, C, H, W]; noise "const" for the map stored with the weights, "none", or [N, 1, H, W].
    """

    const: Tensor

    def __init__(self, channels: int, resolution: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels))
        self.register_buffer("const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, noise: str | Tensor) -> Tensor:
        if isinstance(noise, str):
            if noise == "none":
                return x
            noise = self.const
        return torch.addcmul(x, self.strength.to(x.dtype)[:, None, None], noise.to(x.dtype))
