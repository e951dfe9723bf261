"""Additive noise, and cutout against a loop over pixels."""

import math

import pytest
import torch

from stylegen.augment.corruptions import add_noise, cut_out
from tests.support.augment_inputs import FixedInputs, keyed, noise_images


def test_the_magnitude_scales_the_noise() -> None:
    x = noise_images()
    for n in (1.5, -1.5):
        torch.testing.assert_close(add_noise(x, FixedInputs(4, noise=n), 1, std=0.1), x + 0.15, atol=1e-6, rtol=0)
    assert torch.equal(add_noise(x, FixedInputs(4), 1, std=0.1), x)


def test_fraction_and_size_of_noise() -> None:
    """A fraction p of the images gets noise with E sigma^2 = std^2."""
    x = torch.zeros(4000, 1, 4, 4)
    noise = add_noise(x, keyed(4000, noise=(1, 4, 4)), 0.25, std=0.1)
    on = noise.abs().amax(dim=(1, 2, 3)) > 0
    assert abs(on.double().mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 4000)
    assert noise[on].square().mean().sqrt().item() == pytest.approx(0.1, rel=0.1)


def test_the_box_pixel_by_pixel() -> None:
    x = noise_images(2, 3, 8, 16)
    y = cut_out(x, FixedInputs(2, cutout_x=[0.3, 0.95], cutout_y=[0.55, 0.1]), 1, size=0.5)
    for n, (cx, cy) in enumerate(((0.3, 0.55), (0.95, 0.1))):
        for i in range(8):
            for j in range(16):
                inside = abs((j + 0.5) / 16 - cx) < 0.25 and abs((i + 0.5) / 8 - cy) < 0.25
                assert torch.equal(y[n, :, i, j], torch.zeros(3).double() if inside else x[n, :, i, j])


def test_a_central_box_is_a_quarter_of_the_image() -> None:
    y = cut_out(torch.ones(1, 1, 16, 16), FixedInputs(1, cutout_x=0.5, cutout_y=0.5), 1, size=0.5)
    assert y.sum() == 256 - 64
    assert torch.equal(cut_out(y, FixedInputs(1), 1, size=0.5), y)
