"""`filtered_lrelu` by its definition: insert zeros, filter, activate, filter, decimate."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def slow_filtered_lrelu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    up: int = 2,
    down: int = 2,
    padding: tuple[int, int] = (0, 0),
    gain: float = math.sqrt(2),
    clamp: float | None = None,
) -> Tensor:
    """See `stylegen.layers.filtered_lrelu`; in differentiable tensor functions."""
    n, c, h, w = x.shape
    grid = x[..., None, :, None] * x.new_ones(up, 1, up)  # [N, C, H, up, W, up]
    first = torch.zeros(up, 1, up, dtype=x.dtype)
    first[0, 0, 0] = 1
    y = _convolve(F.pad((grid * first).reshape(n, c, h * up, w * up), (*padding, *padding)), up_filter) * up**2
    y = torch.where(y < 0, 0.2 * y, y) * gain
    if clamp is not None:
        y = y.clamp(-clamp, clamp)
    return _convolve(y, down_filter)[:, :, ::down, ::down]


def _convolve(x: Tensor, taps: Tensor | None) -> Tensor:
    """Full-rate convolution with [K, K], or with the outer product of [K]."""
    if taps is None:
        return x
    taps = taps.to(x.dtype)
    kernel = taps if taps.ndim == 2 else torch.outer(taps, taps)
    n, c, h, w = x.shape
    y = F.conv2d(x.reshape(n * c, 1, h, w), kernel.flip(0, 1)[None, None])
    return y.reshape(n, c, *y.shape[2:])
