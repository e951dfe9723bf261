"""Blur (Zhang 2019, arXiv 1904.11486): the bilinear filtering of StyleGAN (Karras et al. 2019, arXiv 1812.04948)."""

from collections.abc import Sequence

from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.layers.resample import fir_filter, upfirdn2d


class Blur(nn.Module):
    """A separable FIR filter, the same on every channel, zeros around the picture.

    Nearest-neighbour up-sampling followed by [1, 2, 1] is bilinear up-sampling.

    Args:
        taps: an odd number of them; normalised to sum one. A single tap changes nothing.

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
                rule="a blur has an odd number of taps, and their sum is not zero",
                fix="Use blur_taps=[1,2,1], as published, or blur_taps=[1] for none",
            )
        self.radius = len(taps) // 2
        self.register_buffer("kernel", fir_filter(taps), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return upfirdn2d(x, self.kernel, padding=self.radius) if self.radius else x
