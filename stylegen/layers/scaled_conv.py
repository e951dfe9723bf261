"""3x3 convolutions that double or halve the resolution, in two steps or fused in one (StyleGAN's `fused_scale`).

Nearest-neighbour up-sampling before a convolution, and averaging over 2x2 pixels after it, are themselves linear
filters. Folded into the weights they make a 4x4 kernel for one transposed, or strided, convolution: less than half the
multiplications, and no large tensor in between. Golden files of kind `stylegan1_` pin both.

Letters: N batch, H W space, O I K K weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def nearest_upsample(x: Tensor) -> Tensor:
    """Every pixel becomes 2x2 equal ones: [N, C, H, W] -> [N, C, 2H, 2W]."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def box_downsample(x: Tensor) -> Tensor:
    """Every 2x2 pixels become their mean: [N, C, H, W] -> [N, C, H/2, W/2]."""
    return F.avg_pool2d(x, 2)


def box_filtered(weight: Tensor) -> Tensor:
    """The weights convolved with 2x2 ones: [O, I, 3, 3] -> [O, I, 4, 4]."""
    w = F.pad(weight, (1, 1, 1, 1))
    return w[..., 1:, 1:] + w[..., :-1, 1:] + w[..., 1:, :-1] + w[..., :-1, :-1]


def upsample_conv2d(x: Tensor, weight: Tensor, fused: bool) -> Tensor:
    """conv(nearest_upsample(x)): [N, I, H, W], [O, I, 3, 3] -> [N, O, 2H, 2W].

    Fused, it is a transposed convolution, whose weights are mirrored against those of the two steps, as the published
    networks expect: upsample_conv2d(x, w, True) = upsample_conv2d(x, w.flip([2, 3]), False).
    """
    if fused:
        return F.conv_transpose2d(x, box_filtered(weight).transpose(0, 1), stride=2, padding=1)
    return F.conv2d(nearest_upsample(x), weight, padding=1)


def conv2d_downsample(x: Tensor, weight: Tensor, fused: bool) -> Tensor:
    """box_downsample(conv(x)): [N, I, H, W], [O, I, 3, 3] -> [N, O, H/2, W/2]; the same numbers fused or not."""
    if fused:
        return F.conv2d(x, box_filtered(weight) / 4, stride=2, padding=1)
    return box_downsample(F.conv2d(x, weight, padding=1))


class ScaledConv2d(nn.Module):
    """A 3x3 convolution with equalised learning rate, without bias, that may change the resolution.

    Args:
        in_channels, out_channels: widths.
        up, down: 1 or 2, not both 2.
        fused: up- or down-sample in the convolution itself.
        gain: of the weights; sqrt(2) before a leaky ReLU (He et al. 2015).

    Shape: [N, in_channels, H, W] -> [N, out_channels, H * up / down, W * up / down].
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
