"""Image filtering: the four bands, and the filter against an explicit convolution."""

import math

import pytest
import torch
from torch import Tensor

from stylegen.augment.bands import _band_taps, amplify_bands, gains
from tests.support.augment_inputs import FixedInputs, keyed, noise_images

ALL = {f"imgfilter_{band}": value for band, value in enumerate((0.4, -0.8, 1.1, -0.3))}


def bands() -> Tensor:
    return _band_taps(torch.device("cpu"), torch.float64)


def test_the_bands_sum_to_one() -> None:
    unit = torch.zeros(43, dtype=torch.float64)
    unit[21] = 1
    torch.testing.assert_close(bands().sum(dim=0), unit, atol=1e-6, rtol=0)
    torch.testing.assert_close(bands(), bands().flip(1))


@pytest.mark.parametrize(("band", "frequency"), [(0, 0.02), (1, 0.18), (2, 0.38), (3, 0.97)])
def test_each_band_passes_its_octave(band: int, frequency: float) -> None:
    """Most of the response at `frequency` (a fraction of pi) is in this band."""
    k = torch.arange(-21, 22, dtype=torch.float64)
    response = (bands() * torch.cos(math.pi * frequency * k)).sum(dim=1)
    assert response.argmax() == band
    assert response[band] > 0.5


def test_gains_keep_the_expected_power() -> None:
    power = torch.tensor([10.0, 1, 1, 1]) / 13
    single = gains(FixedInputs(imgfilter_2=1.5), 1, 1.0)[0]
    assert (power * single.square()).sum().item() == pytest.approx(1)
    assert (single[2] / single[0]).item() == pytest.approx(2**1.5)
    assert torch.equal(gains(keyed(5), 0, 1.0), torch.ones(5, 4))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (40, 70)])
def test_filter_is_a_convolution_along_both_axes(height: int, width: int) -> None:
    x, inputs = noise_images(2, 2, height, width), FixedInputs(2, **ALL)
    taps = (gains(inputs, 1, 1.0)[0].double() @ bands()).reshape(1, 1, 1, -1)

    def slow(x: Tensor) -> Tensor:
        for _ in range(3):  # mirrored repeatedly: 21 samples exceed a small image
            room = min(x.shape[3] - 1, 21)
            x = torch.nn.functional.pad(x, (room, room, 0, 0), mode="reflect")
        start = (x.shape[3] - width) // 2 - 21
        y = torch.nn.functional.conv2d(x[..., start : start + width + 42].reshape(-1, 1, height, width + 42), taps)
        return y.reshape(2, 2, height, width)

    rows = slow(x)
    x, width, height = rows.transpose(2, 3), height, width
    torch.testing.assert_close(
        amplify_bands(noise_images(2, 2, width, height), inputs, 1, 1.0), slow(x).transpose(2, 3), atol=1e-5, rtol=0
    )


def test_neutral_gains_change_nothing() -> None:
    x = noise_images()
    torch.testing.assert_close(amplify_bands(x, FixedInputs(4, imgfilter_0=0.0), 1, 1.0), x, atol=1e-6, rtol=0)
