"""Fused resampling convolutions against two steps; blur, noise, inputs."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegen.errors import UserError
from stylegen.layers.scaled_conv import Blur, ScaledConv2d, conv2d_downsample, upsample_conv2d
from stylegen.layers.synthesis_inputs import ConstantInput, LatentInput, NoiseInput


def upsample_fused(x: Tensor, weight: Tensor) -> Tensor:
    return upsample_conv2d(x, weight, True)


def upsample_twin(x: Tensor, weight: Tensor) -> Tensor:
    large = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return F.conv2d(large, weight.flip([2, 3]), padding=1)


def downsample_fused(x: Tensor, weight: Tensor) -> Tensor:
    return conv2d_downsample(x, weight, True)


def downsample_twin(x: Tensor, weight: Tensor) -> Tensor:
    y = F.conv2d(x, weight, padding=1)
    return (y[..., ::2, ::2] + y[..., 1::2, ::2] + y[..., ::2, 1::2] + y[..., 1::2, 1::2]) / 4


@pytest.mark.parametrize(
    ("fast", "slow"), [(upsample_fused, upsample_twin), (downsample_fused, downsample_twin)], ids=["up", "down"]
)
def test_fused_equals_two_steps_with_first_and_second_gradients(
    fast: Callable[..., Tensor], slow: Callable[..., Tensor]
) -> None:
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for function in (fast, slow):
        y = function(x, weight)
        first = torch.autograd.grad(y.sin().sum(), (x, weight), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight))
        results.append((y, *first, *second))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_two_steps_by_their_definition() -> None:
    x, weight = torch.randn(2, 3, 6, 4), torch.randn(5, 3, 3, 3)
    torch.testing.assert_close(upsample_conv2d(x, weight, False), upsample_twin(x, weight.flip([2, 3])))
    torch.testing.assert_close(conv2d_downsample(x, weight, False), downsample_twin(x, weight))


@pytest.mark.parametrize("settings", [{}, {"up": 2}, {"up": 2, "fused": True}, {"down": 2}, {"down": 2, "fused": True}])
def test_scaled_conv_follows_its_input_in_type_and_keeps_unit_variance(settings: dict) -> None:
    torch.manual_seed(0)
    layer = ScaledConv2d(32, 32, gain=1.0, **settings)
    x = torch.randn(4, 32, 16, 16)
    y = layer(x)
    assert y.shape[-1] == 16 * settings.get("up", 1) // settings.get("down", 1)
    if "down" not in settings:
        assert 0.7 < y.square().mean() < 1.4
    assert layer(x.bfloat16()).dtype == torch.bfloat16


def test_blur_behind_nearest_upsampling_is_bilinear_upsampling() -> None:
    large = F.interpolate(torch.randn(1, 2, 5, 5, dtype=torch.float64), scale_factor=2, mode="nearest")
    expected = F.interpolate(large[..., ::2, ::2], scale_factor=2, mode="bilinear")
    torch.testing.assert_close(Blur()(large)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_one_tap_is_no_blur_and_an_even_number_is_refused() -> None:
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(Blur([3])(x), x)
    for taps in ([1, 1], [1, 0, -1], []):
        with pytest.raises(UserError, match="blur_taps"):
            Blur(taps)


def test_noise_is_scaled_by_channel() -> None:
    layer, x, noise = NoiseInput(3, 4), torch.randn(2, 3, 4, 4), torch.randn(2, 1, 4, 4)
    assert torch.equal(layer(x, noise), x)
    layer.strength.data = torch.tensor([0.0, 1.0, -2.0])
    for n, c in ((0, 1), (1, 2)):
        torch.testing.assert_close(layer(x, noise)[n, c], x[n, c] + layer.strength[c] * noise[n, 0])
        torch.testing.assert_close(layer(x, "const")[n, c], x[n, c] + layer.strength[c] * layer.const)
    assert torch.equal(layer(x, "none"), x)
    assert layer(x.bfloat16(), "const").dtype == torch.bfloat16


def test_inputs_at_4_px() -> None:
    w = torch.randn(2000, 32)
    assert torch.equal(ConstantInput(3)(w), torch.ones(2000, 3, 4, 4))
    maps = LatentInput(32, 8)(w)
    assert maps.shape == (2000, 8, 4, 4)
    assert maps.square().mean().item() == pytest.approx(2 / 16, rel=0.3)
