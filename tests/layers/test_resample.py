"""FIR resampling against its definition and convolution against separate steps, in float64; second derivatives."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.layers.resample import conv2d_resample, downsample2d, fir_filter, upfirdn2d, upsample2d

TAPS = ([1, 3, 3, 1], [1, 2, 1], [1, 3, 3, 1, 0.5])


def slow_upfirdn(x: Tensor, kernel: Tensor, up: int, down: int, padding: tuple, flip: bool, gain: float) -> Tensor:
    """One output sample at a time, by the definition."""
    n, c, h, w = x.shape
    x0, x1, y0, y1 = padding
    big = torch.zeros(n, c, h * up + max(y0, 0) + max(y1, 0), w * up + max(x0, 0) + max(x1, 0), dtype=x.dtype)
    for i, j in itertools.product(range(h), range(w)):
        big[:, :, max(y0, 0) + i * up, max(x0, 0) + j * up] = x[:, :, i, j]
    big = big[:, :, max(-y0, 0) : big.shape[2] - max(-y1, 0), max(-x0, 0) : big.shape[3] - max(-x1, 0)]
    k = (kernel if flip else kernel.flip([0, 1])) * gain
    rows = range(0, big.shape[2] - k.shape[0] + 1, down)
    columns = range(0, big.shape[3] - k.shape[1] + 1, down)
    cells = [(big[:, :, i : i + k.shape[0], j : j + k.shape[1]] * k).sum([2, 3]) for i in rows for j in columns]
    return torch.stack(cells, dim=-1).reshape(n, c, len(rows), len(columns))


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (2, 1, 3, 0), (-1, 2, 1, -1), (2, 2, 2, 2)])
def test_upfirdn2d_is_its_definition(taps: list[float], up: int, down: int, padding: tuple) -> None:
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    kernel = fir_filter(taps).double()
    for flip in (False, True):
        fast = upfirdn2d(x, kernel, up, down, padding, flip, gain=1.5)
        torch.testing.assert_close(fast, slow_upfirdn(x, kernel, up, down, padding, flip, 1.5))


@pytest.mark.parametrize(("up", "down", "padding"), [(1, 1, (1, 2, 0, 1)), (2, 1, (2, 1, 2, 1)), (1, 2, (-1, 1, 1, 1))])
def test_upfirdn2d_derivatives(up: int, down: int, padding: tuple) -> None:
    kernel = fir_filter([1, 3, 3, 1, 0.5]).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: upfirdn2d(t, kernel, up, down, padding).square(), (x,))
    assert torch.autograd.gradgradcheck(lambda t: upfirdn2d(t, kernel, up, down, padding).square(), (x,))


def test_channels_last_changes_nothing() -> None:
    x, kernel = torch.randn(2, 8, 9, 9), fir_filter([1, 3, 3, 1])
    for up, down in ((1, 1), (2, 1), (1, 2)):
        y = upfirdn2d(x.contiguous(memory_format=torch.channels_last), kernel, up, down, 2)
        torch.testing.assert_close(y, upfirdn2d(x, kernel, up, down, 2))


@pytest.mark.parametrize("taps", TAPS)
def test_up_and_down_sampling_keep_size_and_brightness(taps: list[float]) -> None:
    x = torch.full((1, 1, 8, 8), 3.0, dtype=torch.float64)
    kernel = fir_filter(taps).double()
    up, down = upsample2d(x, kernel), downsample2d(x, kernel)
    assert up.shape[2:] == (16, 16)
    assert down.shape[2:] == (4, 4)
    if len(taps) == 4:  # filters of odd length weigh the two phases differently
        torch.testing.assert_close(up[:, :, 4:12, 4:12], torch.full((1, 1, 8, 8), 3.0, dtype=torch.float64))
    torch.testing.assert_close(down[:, :, 1:3, 1:3], torch.full((1, 1, 2, 2), 3.0, dtype=torch.float64))


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 2, 1]])
@pytest.mark.parametrize("size", [1, 3])
def test_conv2d_resample_equals_separate_steps(taps: list[float], size: int) -> None:
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    weight, bias = torch.randn(5, 4, size, size, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    kernel = fir_filter(taps).double()
    pad, n = size // 2, len(taps)
    torch.testing.assert_close(conv2d_resample(x, weight, bias), F.conv2d(x, weight, bias, padding=pad))
    up_pad = (pad + (n + 1) // 2, pad + (n - 2) // 2) * 2
    slow = F.conv2d(upfirdn2d(x, kernel, up=2, padding=up_pad, gain=4), weight.flip([2, 3]))
    torch.testing.assert_close(conv2d_resample(x, weight, None, kernel, up=2), slow)
    down_pad = (pad + (n - 1) // 2, pad + (n - 2) // 2) * 2
    slow = F.conv2d(upfirdn2d(x, kernel, padding=down_pad), weight, bias, stride=2)
    torch.testing.assert_close(conv2d_resample(x, weight, bias, kernel, down=2), slow)
