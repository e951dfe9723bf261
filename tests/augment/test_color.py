"""Color operations against the product of five 4 x 4 matrices in float64, and known cases."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen.augment.color import OPERATIONS, adjust_color
from stylegen.augment.pipeline import AdaPipeline
from tests.support.augment_inputs import FixedInputs, noise_images

STRENGTHS = AdaPipeline(brightness_std=0.2, contrast_std=0.5, hue_max=1.0, saturation_std=1.0)
VALUES = {"brightness": 0.7, "contrast": -1.2, "lumaflip": 0.8, "hue": 0.9, "saturation": 0.6}


def slow_matrix(b: float, c: float, flip: bool, theta: float, s: float) -> np.ndarray:
    """Product of homogeneous matrices; the rotation by Rodrigues' formula."""
    v = np.ones(3) / math.sqrt(3)
    K = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    linear = [
        c * np.eye(3),
        np.eye(3) - 2 * np.outer(v, v) * flip,
        np.eye(3) + math.sin(theta) * K + (1 - math.cos(theta)) * K @ K,
        np.outer(v, v) + (np.eye(3) - np.outer(v, v)) * s,
    ]
    total = np.eye(4)
    total[:3, 3] = b
    for step in linear:
        matrix = np.eye(4)
        matrix[:3, :3] = step
        total = matrix @ total
    return total


def adjusted(x: Tensor, operations: tuple[str, ...] = OPERATIONS, **values: float) -> Tensor:
    return adjust_color(x, operations, FixedInputs(len(x), **values), 1.0, STRENGTHS)


@pytest.mark.parametrize("flip", [0.2, 0.8])
def test_the_closed_form_is_the_product_of_the_matrices(flip: float) -> None:
    x = noise_images()
    values = VALUES | {"lumaflip": flip}
    matrix = slow_matrix(0.2 * 0.7, 2 ** (-0.6), flip > 0.5, 0.8 * math.pi, 2**0.6)
    slow = np.einsum("ij,njhw->nihw", matrix[:3, :3], x.numpy()) + matrix[:3, 3].reshape(1, 3, 1, 1)
    torch.testing.assert_close(adjusted(x, **values), torch.from_numpy(slow), atol=1e-6, rtol=0)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_alone(operation: str) -> None:
    """An operation alone equals the whole family with only that operation's gate open."""
    x = noise_images()
    alone = adjusted(x, (operation,), **VALUES)
    torch.testing.assert_close(alone, adjusted(x, **{operation: VALUES[operation]}))
    assert (alone - x).abs().max() > 0.1


def test_a_full_turn_of_the_hue_is_the_identity() -> None:
    x = noise_images()
    for u in (0.0, 1.0):  # -180 and 180 degrees
        half = adjusted(x, hue=u)
        torch.testing.assert_close(adjusted(half, hue=u), x, atol=1e-6, rtol=0)


def test_a_third_of_a_turn_moves_red_to_green() -> None:
    x = noise_images()
    torch.testing.assert_close(adjusted(x, hue=0.5 + 1 / 3), x.roll(1, dims=1), atol=1e-6, rtol=0)


def test_a_luma_flip_twice_is_the_identity_and_keeps_the_chroma() -> None:
    x = noise_images()
    y = adjusted(x, lumaflip=0.9)
    torch.testing.assert_close(y.mean(dim=1), -x.mean(dim=1), atol=1e-6, rtol=0)
    torch.testing.assert_close(y - y.mean(dim=1, keepdim=True), x - x.mean(dim=1, keepdim=True), atol=1e-6, rtol=0)


def test_gray_images_are_the_gray_of_color() -> None:
    x = noise_images(channels=1)
    torch.testing.assert_close(adjusted(x, **VALUES), adjusted(x.expand(-1, 3, -1, -1), **VALUES)[:, :1])
    torch.testing.assert_close(adjusted(x, ("hue", "saturation"), **VALUES), x)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_unchanged(channels: int) -> None:
    x = noise_images(channels=channels)
    y = adjusted(x, **VALUES)
    assert torch.equal(y[:, -1], x[:, -1])
    torch.testing.assert_close(y[:, :-1], adjusted(x[:, :-1], **VALUES))
