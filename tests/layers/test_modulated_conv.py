"""Modulated convolution against the grouped convolution with per-sample weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.layers.modulated_conv import demodulation, modulated_conv2d
from stylegen.layers.resample import conv2d_resample, fir_filter


def grouped(x: Tensor, weight: Tensor, styles: Tensor, kernel: Tensor, demodulate: bool, up: int) -> Tensor:
    """Eq. 1 and 3 of the paper, with per-sample weights [N, O, I, K, K]."""
    w = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        w = w / (w.square().sum(dim=[2, 3, 4], keepdim=True) + 1e-8).sqrt()
    if up == 1:
        n, o, i, k, _ = w.shape
        y = F.conv2d(x.reshape(1, n * i, *x.shape[2:]), w.reshape(n * o, i, k, k), padding=k // 2, groups=n)
        return y.reshape(n, o, *y.shape[2:])
    return torch.cat([conv2d_resample(a[None], b, None, kernel, up=up) for a, b in zip(x, w, strict=True)])


@pytest.fixture
def inputs() -> list[Tensor]:
    torch.manual_seed(0)
    tensors = [torch.randn(3, 4, 6, 6), torch.randn(5, 4, 3, 3), torch.randn(3, 4) + 1]
    return [t.double().requires_grad_(True) for t in tensors]


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("up", [1, 2])
def test_equals_the_grouped_form_with_first_and_second_gradients(
    inputs: list[Tensor], demodulate: bool, up: int
) -> None:
    kernel = fir_filter([1, 3, 3, 1]).double()
    results = []
    for function in (modulated_conv2d, grouped):
        y = function(*inputs, kernel, demodulate, up)
        first = torch.autograd.grad(y.square().sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
        results.append((y, *first, *second))
    for fast, slow in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow)


def test_demodulated_weights_have_unit_norm(inputs: list[Tensor]) -> None:
    _, weight, styles = inputs
    w = weight[None] * styles[:, None, :, None, None] * demodulation(weight, styles)[:, :, None, None, None]
    torch.testing.assert_close(w.square().sum(dim=[2, 3, 4]), torch.ones(3, 5, dtype=torch.float64))


def test_gain_scales_the_convolution_and_not_the_noise(inputs: list[Tensor]) -> None:
    noise = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    plain = modulated_conv2d(*inputs)
    torch.testing.assert_close(modulated_conv2d(*inputs, gain=2.0, noise=noise), 2 * plain + noise)
    plain = modulated_conv2d(*inputs, demodulate=False)
    torch.testing.assert_close(modulated_conv2d(*inputs, demodulate=False, gain=2.0, noise=noise), 2 * plain + noise)


def test_demodulation_of_half_precision_is_computed_in_float32() -> None:
    weight, styles = torch.randn(5, 4, 3, 3), torch.full((1, 4), 300.0)
    half = demodulation(weight.half(), styles.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, demodulation(weight.half().float(), styles), rtol=1e-6, atol=0)
