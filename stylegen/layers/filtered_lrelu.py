"""Leaky ReLU between up- and down-sampling, which suppresses the frequencies that it would fold back (Karras et al.
2021, arXiv 2106.12423, section 3.1 and figure 4b).

Both filters are convolutions with a stride: transposed to up-sample, so that no zeros are inserted or multiplied, and
plain to down-sample, so that only the kept samples are computed. Filters that are separable run axis by axis. The
tests compare with the definition: insert zeros, filter, activate, filter, decimate.

Letters: N batch, C channels, H W space, K taps.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]

SLOPE = 0.2  # of negative values


def filtered_lrelu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    up: int = 2,
    down: int = 2,
    padding: Pair = (0, 0),
    gain: float = math.sqrt(2),
    clamp: float | None = None,
) -> Tensor:
    """downsample(clamp(gain * leaky_relu(upsample(x)), -clamp, clamp)).

    Args:
        x: [N, C, H, W].
        up_filter, down_filter: [K], separable, or [K, K]; sums are one; None for a single tap. They need no gradients.
        up, down: factors.
        padding: zeros before and after the up-sampled image, on both axes; negative values crop.
        clamp: largest magnitude before down-sampling; None for no limit.

    Returns:
        [N, C, H', W'] with H' = floor((up H + sum(padding) - K_up - K_down + 1) / down) + 1; W' likewise.
    """
    if x.device.type == "cpu":
        x = x.contiguous(memory_format=torch.channels_last)  # depthwise convolutions are three times as fast
    first = _filter(up_filter, up, gain=up * up, x=x)
    second = _filter(_mirrored(down_filter), down, gain=gain, x=x)
    first = replace(first, crop=(first.size - 1 - padding[0], first.size - up - padding[1]))
    limit = math.inf if clamp is None else clamp / gain  # the gain follows, in the second filter
    if torch.compiler.is_compiling():  # a custom Function cannot be differentiated twice inside a compiled region
        activated = F.leaky_relu(_spread(x, first), SLOPE)
        return _gather(activated if clamp is None else activated.clamp(-limit, limit), second)
    y: Tensor = _FilteredLeakyReLU.apply(x, first, second, limit)
    return y


@dataclass(frozen=True)
class _Filter:
    """A filter [K] or [K, K] of stride `factor`; `crop` samples are left out at both ends of its transposed form.

    A negative crop adds zeros. `_spread` and `_gather` with the same filter are adjoint.
    """

    taps: Tensor
    factor: int
    crop: Pair = (0, 0)

    @property
    def size(self) -> int:
        return self.taps.shape[-1]

    def kernels(self, channels: int) -> list[tuple[Tensor, Pair]]:
        """Depthwise weights [C, 1, ...] with their strides: one, or one for each axis."""
        if self.taps.ndim == 2:
            return [(self.taps.expand(channels, 1, -1, -1), (self.factor, self.factor))]
        if self.size == 1 and self.factor == 1:
            return []
        row = self.taps.expand(channels, 1, 1, -1)
        return [(row, (1, self.factor)), (row.transpose(2, 3), (self.factor, 1))]


def _filter(taps: Tensor | None, factor: int, gain: float, x: Tensor) -> _Filter:
    if taps is None:
        taps = x.new_ones(1)
    scale = gain if taps.ndim == 2 else math.sqrt(gain)
    return _Filter((taps * scale).to(x.dtype), factor)


def _mirrored(taps: Tensor | None) -> Tensor | None:
    """For a convolution in the form of a correlation."""
    return None if taps is None else taps.flip([0, 1][: taps.ndim])


def _spread(x: Tensor, filter: _Filter) -> Tensor:
    """Insert factor - 1 zeros after each sample, convolve, crop."""
    before, after = filter.crop
    inner = max(min(before, after), 0)  # the convolution crops for free
    kernels = filter.kernels(x.shape[1])
    for weight, stride in kernels:
        ends = (inner * (weight.shape[2] > 1), inner * (weight.shape[3] > 1))
        x = F.conv_transpose2d(x, weight, stride=stride, padding=ends, groups=len(weight))
    if not kernels:
        x, inner = x * filter.taps.square(), 0  # square: both axes
    rest = (inner - before, inner - after)
    return F.pad(x, (*rest, *rest)) if any(rest) else x


def _gather(x: Tensor, filter: _Filter) -> Tensor:
    """Extend by what `_spread` crops, correlate, keep every factor-th sample."""
    before, after = filter.crop
    inner = max(min(before, after), 0)
    kernels = filter.kernels(x.shape[1])
    if not kernels:
        x, inner = x * filter.taps.square(), 0
    rest = (before - inner, after - inner)
    x = F.pad(x, (*rest, *rest)) if any(rest) else x
    for weight, stride in reversed(kernels):
        ends = (inner * (weight.shape[2] > 1), inner * (weight.shape[3] > 1))
        x = F.conv2d(x, weight, stride=stride, padding=ends, groups=len(weight))
    return x


class _FilteredLeakyReLU(torch.autograd.Function):
    """Keeps one tensor of the high resolution, the activations, and works on it in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: _Filter, second: _Filter, limit: float) -> Tensor:
        y = F.leaky_relu_(_spread(x, first), SLOPE)
        if limit < math.inf:
            y.clamp_(-limit, limit)
        ctx.save_for_backward(y)
        ctx.settings = (first, second, limit)
        return _gather(y, second)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        first, second, limit = ctx.settings
        return _Masked.apply(grad_outputs[0], y, second, first, limit), None, None, None


class _Masked(torch.autograd.Function):
    """gather(m * spread(x, first), second) with the derivative m of the activation: 1, 0.2, or 0 where clamped.

    It is linear in x, and its adjoint is the same operation with both filters exchanged, to any order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, first: _Filter, second: _Filter, limit: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.settings = (first, second, limit)
        z = _spread(x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x, first)
        rest = y.shape[3] - z.shape[3], y.shape[2] - z.shape[2]  # samples at the end that no output depends on
        z = F.pad(z, (0, rest[0], 0, rest[1])) if any(rest) else z
        torch.ops.aten.leaky_relu_backward.grad_input(z, y, SLOPE, True, grad_input=z)
        if limit < math.inf:
            torch.ops.aten.hardtanh_backward.grad_input(z, y, -limit, limit, grad_input=z)
        return _gather(z, second)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        first, second, limit = ctx.settings
        return _Masked.apply(grad_outputs[0], y, second, first, limit), None, None, None, None
