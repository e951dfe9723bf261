"""Flips, 90-degree rotations and integer translations, as maps of corners."""

import math

import pytest
import torch
from torch import Tensor

from stylegen.augment.blitting import horizontal_flip, integer_translation, quarter_rotation
from tests.support.augment_inputs import FixedInputs, keyed


def shown_at(source: Tensor, x: float, y: float) -> list[float]:
    """Input position of the output pixel (x, y)."""
    return (source[0] @ torch.tensor([x, y, 1.0]))[:2].tolist()


@pytest.mark.parametrize(("u", "x"), [(0.49, 3), (0.5, -3), (0.99, -3)])
def test_flip(u: float, x: float) -> None:
    assert shown_at(horizontal_flip(FixedInputs(xflip=u), 1), 3, 2) == [x, 2]


@pytest.mark.parametrize(("u", "point"), [(0.24, (3, 2)), (0.25, (-2, 3)), (0.5, (-3, -2)), (0.75, (2, -3))])
def test_quarter_rotation(u: float, point: tuple[float, float]) -> None:
    """Counter-clockwise: the right moves to the top (y points down)."""
    assert shown_at(quarter_rotation(FixedInputs(rotate90=u), 1), 3, 2) == pytest.approx(point, abs=1e-5)


def test_shift_is_rounded_and_bounded() -> None:
    source = integer_translation(FixedInputs(xint_x=0.9, xint_y=0.1), 1, height=32, width=64, xint_max=0.125)
    assert shown_at(source, 0, 0) == [-6, 3]  # 0.8 * 8 = 6.4, -0.8 * 4 = -3.2
    shifts = integer_translation(keyed(4000), 1, 32, 64, 0.125)[:, :2, 2]
    assert torch.equal(shifts, shifts.round())
    assert shifts.abs().amax(dim=0).tolist() == [8, 4]


def test_operations_apply_with_probability_p() -> None:
    """A gate opens with probability p; then a flip has two equally likely outcomes, a rotation four."""
    inputs, p, eye = keyed(20_000), 0.3, torch.eye(3)
    for maps, changed in ((horizontal_flip(inputs, p), p / 2), (quarter_rotation(inputs, p), p * 3 / 4)):
        share = ((maps - eye).abs().amax(dim=(1, 2)) > 1e-3).double().mean()
        assert abs(share - changed) < 4 * math.sqrt(changed * (1 - changed) / 20_000)


def test_closed_gates_leave_the_identity() -> None:
    inputs = keyed(100)
    for maps in (horizontal_flip(inputs, 0), quarter_rotation(inputs, 0), integer_translation(inputs, 0, 8, 8, 0.125)):
        assert torch.equal(maps, torch.eye(3).expand(100, 3, 3))
