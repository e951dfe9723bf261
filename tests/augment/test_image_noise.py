"""Additive noise."""

import math

import pytest
import torch

from stylegen.augment.image_noise import add_noise
from tests.support.augment_inputs import FixedDraws, keyed, pictures


def test_the_magnitude_of_the_draw_scales_the_noise() -> None:
    x = pictures()
    for n in (1.5, -1.5):
        torch.testing.assert_close(add_noise(x, FixedDraws(4, noise=n), 1, std=0.1), x + 0.15, atol=1e-6, rtol=0)
    assert torch.equal(add_noise(x, FixedDraws(4), 1, std=0.1), x)


def test_share_and_size() -> None:
    """p of the pictures get noise; over these, E sigma^2 = std^2."""
    x = torch.zeros(4000, 1, 4, 4)
    noise = add_noise(x, keyed(4000), 0.25, std=0.1)
    on = noise.abs().amax(dim=(1, 2, 3)) > 0
    assert abs(on.double().mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 4000)
    assert noise[on].square().mean().sqrt().item() == pytest.approx(0.1, rel=0.1)
