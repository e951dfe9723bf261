"""Maps of scaling, rotation and translation, and their distributions."""

import math

import pytest
import torch

from stylegen.augment.geometry import (
    anisotropic_scale,
    fractional_translation,
    geometry_maps,
    isotropic_scale,
    random_rotation,
)
from stylegen.augment.pipeline import AdaPipeline
from tests.support.augment_inputs import FixedInputs, keyed

STRENGTHS = AdaPipeline(scale_std=0.2, rotate_max=1.0, aniso_std=0.2, xfrac_std=0.125)
ALL = ("scale", "rotate", "aniso", "xfrac")


def test_closed_forms() -> None:
    s = 2**0.3
    assert isotropic_scale(FixedInputs(scale=1.5), 1, 0.2)[0].diag().tolist() == pytest.approx([1 / s, 1 / s, 1])
    assert anisotropic_scale(FixedInputs(aniso=1.5), 1, 0.2)[0].diag().tolist() == pytest.approx([1 / s, s, 1])
    shift = fractional_translation(FixedInputs(xfrac_x=1.0, xfrac_y=-2.0), 1, height=16, width=32, std=0.125)
    assert shift[0, :2, 2].tolist() == [-4, 4]
    quarter = random_rotation(FixedInputs(rotate_before=0.75), "rotate_before", 1, 1.0)[0]
    torch.testing.assert_close(quarter, torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))


def test_log_scales_are_normal() -> None:
    logs = -torch.log2(isotropic_scale(keyed(20_000), 1, 0.2)[:, 0, 0]).double()
    assert abs(logs.mean()) < 4 * 0.2 / math.sqrt(20_000)
    assert logs.std().item() == pytest.approx(0.2, rel=0.03)


def test_some_rotation_applies_with_probability_p() -> None:
    p, count = 0.4, 20_000
    before, after = geometry_maps(("rotate",), keyed(count), p, 8, 8, STRENGTHS)
    turned = ((before - torch.eye(3)).abs() + (after - torch.eye(3)).abs()).amax(dim=(1, 2)) > 0
    assert abs(turned.double().mean() - p) < 4 * math.sqrt(p * (1 - p) / count)


def test_order_and_identity() -> None:
    maps = geometry_maps(ALL, keyed(10), 0, 8, 8, STRENGTHS)
    assert len(maps) == 5
    assert all(torch.equal(m, torch.eye(3).expand(10, 3, 3)) for m in maps)
