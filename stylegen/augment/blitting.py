"""Pixel blitting (Karras et al. 2020a, arXiv 2006.06676, appendix B): flips, 90-degree rotations,
integer translation.

An operation is the map [N, 3, 3] from a position in its output to the position in its input; the identity where its
gate is closed.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from stylegen.augment.affine import rotation, scaling, translation
from stylegen.augment.augment_inputs import AugmentInputs

OPERATIONS = ("xflip", "rotate90", "xint")


def blitting_maps(
    operations: Collection[str], inputs: AugmentInputs, p: float, height: int, width: int, xint_max: float
) -> list[Tensor]:
    """The maps of this family's operations among `operations`, in order of application.

    Args:
        p: probability of each.
        xint_max: largest translation, as a fraction of the image side.
    """
    maps = []
    if "xflip" in operations:
        maps.append(horizontal_flip(inputs, p))
    if "rotate90" in operations:
        maps.append(quarter_rotation(inputs, p))
    if "xint" in operations:
        maps.append(integer_translation(inputs, p, height, width, xint_max))
    return maps


def horizontal_flip(inputs: AugmentInputs, p: float) -> Tensor:
    """Horizontal flip if i = 1, i ~ U{0, 1}."""
    flipped = inputs.gate("xflip", p) & (torch.floor(2 * inputs.uniform("xflip")) == 1)
    x = torch.where(flipped, -1.0, 1.0)
    return scaling(x, torch.ones_like(x))


def quarter_rotation(inputs: AugmentInputs, p: float) -> Tensor:
    """Counter-clockwise rotation by 90 i degrees, i ~ U{0, 1, 2, 3}."""
    turns = torch.where(inputs.gate("rotate90", p), torch.floor(4 * inputs.uniform("rotate90")), 0.0)
    return rotation(turns * (math.pi / 2))


def integer_translation(inputs: AugmentInputs, p: float, height: int, width: int, xint_max: float) -> Tensor:
    """Translation by round(t * side) pixels along each axis, t ~ U(-xint_max, xint_max)."""
    gate = inputs.gate("xint", p)
    x, y = (
        torch.where(gate, torch.round((2 * inputs.uniform(name) - 1) * xint_max * side), 0.0)
        for name, side in (("xint_x", width), ("xint_y", height))
    )
    return translation(-x, -y)
