"""StyleGAN's 3x3 convolutions that double or halve the resolution, in two steps or fused in one, and its blur.

Nearest-neighbor up-sampling before a convolution, and averaging over 2x2 pixels after it, are linear filters. Combined
with the weights they give a 4x4 kernel for one transposed (or strided) convolution, at less than half the
multiplications and without a large intermediate tensor (`fused_scale` in the published code). Golden files of kind
`stylegan1_` pin both.

Letters: N batch, I O C channels, H W space.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.layers.resample import fir_filter, upfirdn2d


def nearest_upsample(x: Tensor) -> Tensor:
    """Repeat each pixel 2x2 times: [N, C, H, W] -> [N, C, 2H, 2W]."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def box_downsample(x: Tensor) -> Tensor:
    """Average over 2x2 pixels: [N, C, H, W] -> [N, C, H/2, W/2]."""
    return F.avg_pool2d(x, 2)


def box_filtered(weight: Tensor) -> Tensor:
    """The weights convolved with 2x2 ones: [O, I, 3, 3] -> [O, I, 4, 4]."""
    w = F.pad(weight, (1, 1, 1, 1))
    return w[..., 1:, 1:] + w[..., :-1, 1:] + w[..., 1:, :-1] + w[..., :-1, :-1]


def upsample_conv2d(x: Tensor, weight: Tensor, fused: bool) -> Tensor:
    """conv(nearest_upsample(x)): [N, I, H, W], [O, I, 3, 3] -> [N, O, 2H, 2W].

    The fused form is a transposed convolution, which mirrors the weights relative to the two steps, as published
    networks expect: upsample_conv2d(x, w, True) = upsample_conv2d(x, w.flip([2, 3]), False).
    """
    if fused:
        return F.conv_transpose2d(x, box_filtered(weight).transpose(0, 1), stride=2, padding=1)
    return F.conv2d(nearest_upsample(x), weight, padding=1)


def conv2d_downsample(x: Tensor, weight: Tensor, fused: bool) -> Tensor:
    """box_downsample(conv(x)): [N, I, H, W], [O, I, 3, 3] -> [N, O, H/2, W/2]; both forms are equal."""
    if fused:
        return F.conv2d(x, box_filtered(weight) / 4, stride=2, padding=1)
    return box_downsample(F.conv2d(x, weight, padding=1))


class ScaledConv2d(nn.Module):
    """3x3 convolution with equalized learning rate, without bias, optionally changing the resolution.

    Args:
        in_channels, out_channels: widths I, O.
        up, down: 1 or 2, not both 2.
        fused: up- or down-sample in the convolution itself.
        gain: gain of the weights; sqrt(2) before a leaky ReLU (He et al. 2015).

    Shape: [N, I, H, W] -> [N, O, H * up / down, W * up / down].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        up: int = 1,
        down: int = 1,
        fused: bool = False,
        gain: float = math.sqrt(2),
    ) -> None:
        super().__init__()
        self.up, self.down, self.fused = up, down, fused
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.weight_gain = gain / math.sqrt(in_channels * 9)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype) * self.weight_gain
        if self.up == 2:
            return upsample_conv2d(x, weight, self.fused)
        if self.down == 2:
            return conv2d_downsample(x, weight, self.fused)
        return F.conv2d(x, weight, padding=1)


class Blur(nn.Module):
    """Separable FIR filter with zero padding, the same on every channel (Zhang 2019, arXiv 1904.11486).

    Nearest-neighbor up-sampling followed by [1, 2, 1] is bilinear up-sampling, StyleGAN's choice.

    Args:
        taps: an odd number of taps, normalized to sum one; a single tap is the identity.

    Shape: [N, C, H, W] -> [N, C, H, W].

    Raises:
        UserError: an even number of taps, or taps that sum to zero.
    """

    kernel: Tensor

    def __init__(self, taps: Sequence[float] = (1, 2, 1)) -> None:
        super().__init__()
        if len(taps) % 2 == 0 or sum(taps) == 0:
            raise UserError(
                f"blur_taps={list(taps)}",
                rule="a blur must have an odd number of taps, whose sum is not zero",
                fix="Use blur_taps=[1,2,1], as published, or blur_taps=[1] for none",
            )
        self.radius = len(taps) // 2
        self.register_buffer("kernel", fir_filter(taps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return upfirdn2d(x, self.kernel, padding=self.radius) if self.radius else x
