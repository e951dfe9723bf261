"""Fourier features in place of a learned constant (Karras et al. 2021, arXiv 2106.12423, section 3.2, "Fourier features
and baseline simplifications" and "Transformed Fourier features").

They are samples of a signal on the infinite plane, which can be translated and rotated exactly. Positions are in units
of the image, whose center is the origin; x points right and y down.

Letters: N batch, C channels, S side in samples.
"""

import math

import torch
from torch import Tensor, nn

from stylegen.layers.equalized import EqualizedLinear


class FourierFeatures(nn.Module):
    """C mixtures of sin(2 pi (f_c . p + phi_c)) at positions p that w translates and rotates.

    Args:
        w_dim: width of w.
        channels: number C of frequencies and of mixtures.
        size: side S, margins included.
        sampling_rate: samples in the side of the image.
        bandwidth: magnitudes |f_c| at construction are below it; uniform in this disc.

    Attributes:
        transform: [3, 3], maps positions in the image to positions in the input, after the transformation by w.
            Changes of it move the image: the inverse of the wanted motion. Identity by default.
        freqs, phases: f [C, 2] and phi [C]; fixed.

    Shape: w [N, w_dim] -> [N, C, S, S], in channels-last layout.
    """

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, channels: int, size: int, sampling_rate: float, bandwidth: float) -> None:
        super().__init__()
        self.size, self.sampling_rate, self.bandwidth = size, sampling_rate, bandwidth
        self.affine = EqualizedLinear(w_dim, 4)  # initially the identity: (r_c, r_s, t_x, t_y) = (1, 0, 0, 0)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)
        nn.init.ones_(self.affine.bias[:1])
        self.mixing = nn.Parameter(torch.randn(channels, channels))
        radius, angle = bandwidth * torch.rand(channels).sqrt(), 2 * math.pi * torch.rand(channels)
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1))
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, w: Tensor, transform: Tensor | None = None) -> Tensor:
        """See the class; `transform`, [3, 3] or one for each image [N, 3, 3], replaces the attribute."""
        freqs, phases = self._transformed(w, self.transform if transform is None else transform)
        # A transform may scale frequencies beyond the bandwidth: they fade out up to half the sampling rate.
        beyond = (freqs.norm(dim=2) - self.bandwidth) / (self.sampling_rate / 2 - self.bandwidth)
        amplitudes = (1 - beyond).clamp(0, 1)
        samples = torch.arange(self.size, device=w.device, dtype=freqs.dtype)
        p = (samples + 0.5 - self.size / 2) / self.sampling_rate
        along_x = p[:, None] * freqs[:, None, :, 0]  # [N, S, C]
        along_y = p[:, None] * freqs[:, None, :, 1] + phases[:, None]
        waves = torch.sin(2 * math.pi * (along_x[:, None] + along_y[:, :, None])) * amplitudes[:, None, None]
        mixing = self.mixing.to(waves.dtype) / math.sqrt(len(self.mixing))
        return (waves @ mixing.t()).permute(0, 3, 1, 2)

    def _transformed(self, w: Tensor, transform: Tensor) -> tuple[Tensor, Tensor]:
        """Frequencies [N, C, 2] and phases [N, C], with f . (A p + b) + phi = (A^T f) . p + (phi + f . b)."""
        t = self.affine(w)
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        cos, sin, shift = t[:, 0], t[:, 1], t[:, 2:, None]
        rotation = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)
        user = transform.to(t)
        affine = rotation @ (
            user[..., :2, :] - shift * user[..., 2:, :]
        )  # [N, 2, 3]: first the user's, then shifted, then rotated
        freqs = self.freqs.to(t.dtype)
        return freqs @ affine[:, :, :2], self.phases.to(t.dtype) + (freqs @ affine[:, :, 2:]).squeeze(2)
