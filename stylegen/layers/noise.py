"""Per-layer noise (Karras et al. 2019, arXiv 1812.04948, section 2 and figure 1b)."""

import torch
from torch import Tensor, nn


class Noise(nn.Module):
    """x + strength * noise: one picture of noise a sample, one learned strength a channel, zero at first.

    Args:
        channels: of x.
        resolution: side of x.

    Shape: x [N, C, H, W]; noise "const" for the picture stored with the weights, "none", or [N, 1, H, W].
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
