"""Cutout against a loop over pixels."""

import torch

from stylegen.augment.cutout import cut_out
from tests.support.augment_inputs import FixedDraws, pictures


def test_the_box_pixel_by_pixel() -> None:
    x = pictures(2, 3, 8, 16)
    y = cut_out(x, FixedDraws(2, cutout_x=[0.3, 0.95], cutout_y=[0.55, 0.1]), 1, size=0.5)
    for n, (cx, cy) in enumerate(((0.3, 0.55), (0.95, 0.1))):
        for i in range(8):
            for j in range(16):
                inside = abs((j + 0.5) / 16 - cx) < 0.25 and abs((i + 0.5) / 8 - cy) < 0.25
                assert torch.equal(y[n, :, i, j], torch.zeros(3).double() if inside else x[n, :, i, j])


def test_a_central_box_is_a_quarter_of_the_picture() -> None:
    y = cut_out(torch.ones(1, 1, 16, 16), FixedDraws(1, cutout_x=0.5, cutout_y=0.5), 1, size=0.5)
    assert y.sum() == 256 - 64
    assert torch.equal(cut_out(y, FixedDraws(1), 1, size=0.5), y)
