"""The warp against explicit sampling, and in cases that rearrange pixels."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from stylegen.augment.affine import compose, rotation, scaling, translation
from stylegen.augment.filters import SYM6
from stylegen.augment.warp import warp
from tests.support.augment_inputs import noise_images, smooth


def mirrored(x: Tensor, margin: int) -> Tensor:
    return torch.nn.functional.pad(x, (margin,) * 4, mode="reflect")


def slow_warp(x: Tensor, source: Tensor) -> Tensor:
    """One channel [H, W], by the definition: fine(j) = 2 sum_i h[j - 2i + 5] x[i] at pixel j / 2, and back."""
    (height, width), h = x.shape, SYM6
    m = min(height, width) - 1
    padded = mirrored(x[None, None], m)[0, 0]
    up = torch.zeros(2, 2 * max(padded.shape) + 12, max(padded.shape), dtype=x.dtype)
    for axis, size in enumerate(padded.shape):
        for i, tap in itertools.product(range(size), range(12)):
            up[axis, 2 * i - 5 + tap + 5, i] = 2 * h[tap]  # row r is sample r - 5
    fine = up[0, :, : padded.shape[0]] @ padded @ up[1, :, : padded.shape[1]].T

    def look_up(px: float, py: float) -> Tensor:
        """Value at a pixel position of the unpadded image."""
        a, b = 2 * (px + m) + 5, 2 * (py + m) + 5
        i, j = math.floor(a), math.floor(b)
        s, t = a - i, b - j
        top = (1 - s) * fine[j, i] + s * fine[j, i + 1]
        return (1 - t) * top + t * ((1 - s) * fine[j + 1, i] + s * fine[j + 1, i + 1])

    warped = torch.empty(2 * height + 10, 2 * width + 10, dtype=x.dtype)
    for row, column in itertools.product(*map(range, warped.shape)):
        point = torch.tensor([(column - 5) / 2 - (width - 1) / 2, (row - 5) / 2 - (height - 1) / 2, 1.0])
        px, py = (source[:2].double() @ point.double()).tolist()
        warped[row, column] = look_up(px + (width - 1) / 2, py + (height - 1) / 2)
    down = torch.zeros(2, max(height, width), max(warped.shape), dtype=x.dtype)
    for i, tap in itertools.product(range(max(height, width)), range(12)):
        if 2 * i + tap < down.shape[2]:
            down[:, i, 2 * i + tap] = h[tap]
    return down[0, :height, : 2 * height + 10] @ warped @ down[1, :width, : 2 * width + 10].T


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


MAPS = {
    "turn": rotation(one(0.4)),
    "zoom": scaling(one(1.3), one(0.8)),
    "shift": translation(one(2.3), one(-1.7)),
    "all": compose(
        [scaling(one(-1.0), one(1.0)), rotation(one(2.0)), scaling(one(1.2), one(1.1)), translation(one(1.1), one(0.3))]
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_warp_is_its_definition(name: str) -> None:
    x = noise_images(1, 1, 14, 17)
    torch.testing.assert_close(warp(x, MAPS[name])[0, 0], slow_warp(x[0, 0], MAPS[name][0]), atol=1e-9, rtol=0)


def test_the_identity_and_whole_pixels_are_exact() -> None:
    x = noise_images(2, 3, 40, 33)
    torch.testing.assert_close(warp(x, translation(*torch.zeros(2, 2).double())), x, atol=1e-9, rtol=0)
    y = warp(x, translation(*torch.tensor([[3.0, -2.0], [-5.0, 0.0]]).double()))
    expected = torch.stack([mirrored(x[:1], 9)[0, :, 4:44, 12:45], mirrored(x[1:], 9)[0, :, 9:49, 7:40]])
    torch.testing.assert_close(y, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_rearranges_pixels(turns: int) -> None:
    """Tolerance: 1/20 pixel, the distance between the filter's center of mass and its tap."""
    x = smooth()
    y = warp(x, rotation(torch.full((2,), turns * math.pi / 2).double()))
    torch.testing.assert_close(y, torch.rot90(x, turns, [2, 3]), atol=0.05, rtol=0)


def test_a_flip_rearranges_pixels() -> None:
    x = smooth()
    torch.testing.assert_close(
        warp(x, scaling(-torch.ones(2).double(), torch.ones(2).double())), x.flip(3), atol=0.05, rtol=0
    )


def test_a_constant_is_unchanged() -> None:
    x = torch.full((1, 3, 16, 16), 0.7, dtype=torch.float64)
    torch.testing.assert_close(warp(x, MAPS["all"]), x, atol=1e-9, rtol=0)


def test_a_zoom_of_a_wave_is_the_slower_wave() -> None:
    x = (torch.arange(64, dtype=torch.float64) - 31.5).expand(1, 1, 64, 64)
    y = warp(torch.sin(x * 0.4), scaling(one(0.5), one(0.5)))
    torch.testing.assert_close(y, torch.sin(x * 0.2), atol=0.01, rtol=0)


def test_no_aliasing() -> None:
    """A wave near the Nyquist frequency, scaled down by two, must vanish instead of aliasing."""
    x = torch.cos(torch.arange(64, dtype=torch.float64) * 2.8).expand(1, 1, 64, 64)
    y = warp(x, scaling(one(1.9), one(1.0)))
    assert y[:, :, :, 22:42].abs().max() < 0.15


def test_derivatives() -> None:
    x = noise_images(1, 1, 8, 8)[:, :, :5, :6].requires_grad_(True)
    assert torch.autograd.gradcheck(lambda t: warp(t.square(), MAPS["all"]), (x,))
    assert torch.autograd.gradgradcheck(lambda t: warp(t.square(), MAPS["all"]), (x,))
