"""Up- and down-sampling with FIR filters, alone and around a convolution (Karras et al. 2020b, appendix B;
Zhang 2019, "Making convolutional networks shift-invariant again", arXiv 1904.11486).

Letters: N batch, C channels, H W space, O I K K weights. Golden files of kind `ops` pin every function here.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]  # x0, x1, y0, y1: zeros added before and after each axis; negative crops


def fir_filter(taps: Sequence[float]) -> Tensor:
    """1-D taps -> separable 2-D filter [K, K] (outer product) that sums to one."""
    row = torch.tensor(taps, dtype=torch.float32)
    kernel = torch.outer(row, row)
    return kernel / kernel.sum()


def upfirdn2d(
    x: Tensor,
    kernel: Tensor,
    up: int | Pair = 1,
    down: int | Pair = 1,
    padding: int | Padding = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Up-sample by inserting zeros, pad or crop, filter, down-sample; the same filter for every channel.

    Args:
        x: [N, C, H, W].
        kernel: [K_h, K_w]; must not require gradients.
        up, down: integer factors, one for both axes or (x, y). Each sample is followed by up - 1 zeros.
        padding: zeros around the up-sampled image, one number or (x0, x1, y0, y1); negative values crop.
        flip_filter: False for convolution (mirrored kernel), True for correlation.
        gain: factor on the output; up-sampling by u preserves brightness with gain u * u.

    Returns:
        [N, C, (H * up + y0 + y1 - K_h) // down + 1, likewise for W].
    """
    up, down = _pair(up), _pair(down)
    pads = (padding,) * 4 if isinstance(padding, int) else padding
    kernel = (kernel * gain).to(x.dtype)
    kernel = kernel if flip_filter else kernel.flip([0, 1])
    if torch.compiler.is_compiling():  # a custom Function cannot be differentiated twice inside a compiled region
        return _correlate(x, kernel, up, down, pads)
    return _UpFirDn.apply(x, kernel, up, down, pads)


def upsample2d(x: Tensor, kernel: Tensor, factor: int = 2) -> Tensor:
    """[N, C, H, W] -> [N, C, H * factor, W * factor], preserving brightness."""
    size = kernel.shape[-1]
    before, after = (size + factor - 1) // 2, (size - factor) // 2
    return upfirdn2d(x, kernel, up=factor, padding=(before, after, before, after), gain=factor**2)


def downsample2d(x: Tensor, kernel: Tensor, factor: int = 2) -> Tensor:
    """[N, C, H, W] -> [N, C, H / factor, W / factor]."""
    size = kernel.shape[-1]
    before, after = (size - factor + 1) // 2, (size - factor) // 2
    return upfirdn2d(x, kernel, down=factor, padding=(before, after, before, after))


def conv2d_resample(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    kernel: Tensor | None = None,
    up: int = 1,
    down: int = 1,
) -> Tensor:
    """Convolution of odd size K with padding K // 2, with FIR up- or down-sampling, in the cheapest order.

    Filtering and convolution commute: a 1x1 convolution always runs at the low resolution; a larger one runs strided
    (down) or transposed (up). The transposed convolution mirrors the weights, as in the published networks.

    Args:
        x: [N, I, H, W]; weight: [O, I, K, K]; bias: [O] or None, added by the convolution before any up-sampling.
        kernel: FIR filter [F, F]; None without resampling.
        up, down: 1 or 2, not both 2.

    Returns:
        [N, O, H * up / down, W * up / down].
    """
    size, pad = weight.shape[-1], weight.shape[-1] // 2
    if up == 1 and down == 1:
        return F.conv2d(x, weight, bias, padding=pad)
    assert kernel is not None
    taps = kernel.shape[-1]
    if size == 1 and down > 1:
        return F.conv2d(downsample2d(x, kernel, down), weight, bias)
    if size == 1:
        return upsample2d(F.conv2d(x, weight, bias), kernel, up)
    if down > 1:
        before, after = pad + (taps - down + 1) // 2, pad + (taps - down) // 2
        x = upfirdn2d(x, kernel, padding=(before, after, before, after))
        return F.conv2d(x, weight, bias, stride=down)
    # The transposed convolution gives up * (H - 1) + K samples; the filter's padding trims them to up * H.
    before, after = pad + (taps + up - 1) // 2 - (size - 1), pad + (taps - up) // 2 - (size - up)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), bias, stride=up)
    return upfirdn2d(x, kernel, padding=(before, after, before, after), gain=up**2)


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _correlate(x: Tensor, kernel: Tensor, up: Pair, down: Pair, padding: Padding) -> Tensor:
    """`upfirdn2d` in differentiable tensor functions, as correlation."""
    (x0, x1, y0, y1), channels = padding, x.shape[1]
    inner = (0, 0)
    if up == (1, 1) and x0 == x1 >= 0 and y0 == y1 >= 0:
        inner = (y0, x0)  # the convolution pads for free
    elif up != (1, 1) or any(padding):
        x = _spread(x, up, padding)
    weight = kernel.expand(channels, 1, *kernel.shape)
    return F.conv2d(x, weight, padding=inner, stride=(down[1], down[0]), groups=channels)


def _spread(x: Tensor, up: Pair, padding: Padding) -> Tensor:
    """Insert zeros between the pixels, and pad or crop: one pass, in the memory format of x."""
    (up_x, up_y), (x0, x1, y0, y1) = up, padding
    last = x.is_contiguous(memory_format=torch.channels_last)
    size = (*x.shape[:2], x.shape[2] * up_y + y0 + y1, x.shape[3] * up_x + x0 + x1)
    layout = torch.channels_last if last else torch.contiguous_format
    grid = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=layout).zero_()
    rows, columns = _placed(x.shape[2], up_y, y0, size[2]), _placed(x.shape[3], up_x, x0, size[3])
    grid[:, :, rows[0], columns[0]] = x[:, :, rows[1], columns[1]]
    return grid


def _placed(count: int, up: int, before: int, size: int) -> tuple[slice, slice]:
    """Along one axis: the positions of the samples in the padded or cropped grid, and the samples that it contains."""
    first = max(0, -(before // up))  # before + up * first >= 0
    end = min(count, (size - before - 1) // up + 1)  # before + up * (end - 1) < size
    return slice(before + up * first, before + up * (end - 1) + 1, up), slice(first, end)


class _UpFirDn(torch.autograd.Function):
    """The gradient is the same operation with up and down exchanged and the kernel mirrored, to any order.

    PyTorch's second derivative of a depthwise convolution loops over channels and is about 30 times slower.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, up: Pair, down: Pair, padding: Padding) -> Tensor:
        y = _correlate(x, kernel, up, down, padding)
        ctx.save_for_backward(kernel)
        ctx.settings = (up, down, padding, x.shape[2:], y.shape[2:])
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        up, down, (x0, _, y0, _), (height, width), (out_height, out_width) = ctx.settings
        size_y, size_x = kernel.shape
        padding = (
            size_x - 1 - x0,
            width * up[0] - out_width * down[0] + x0 - up[0] + 1,
            size_y - 1 - y0,
            height * up[1] - out_height * down[1] + y0 - up[1] + 1,
        )
        return _UpFirDn.apply(grad_outputs[0], kernel.flip([0, 1]), down, up, padding), None, None, None, None
