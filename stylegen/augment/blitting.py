"""Pixel blitting (Karras et al. 2020a, arXiv 2006.06676, appendix B): flips, quarter turns, shifts by whole pixels.

An operation is the map [N, 3, 3] from a position in its output to the one in its input that is shown there. Where
its gate is closed the map is the identity.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from stylegen.augment.affine import rotation, scaling, translation
from stylegen.augment.augment_inputs import AugmentDraws

OPERATIONS = ("xflip", "rotate90", "xint")


def blitting_maps(
    operations: Collection[str], draws: AugmentDraws, p: float, height: int, width: int, xint_max: float
) -> list[Tensor]:
    """The maps of those `operations` that are of this family, in the order of their application.

    Args:
        p: probability of each.
        xint_max: largest shift, as a share of the picture's side.
    """
    maps = []
    if "xflip" in operations:
        maps.append(horizontal_flip(draws, p))
    if "rotate90" in operations:
        maps.append(quarter_turns(draws, p))
    if "xint" in operations:
        maps.append(integer_shift(draws, p, height, width, xint_max))
    return maps


def horizontal_flip(draws: AugmentDraws, p: float) -> Tensor:
    """Left and right exchanged for i = 1 of i ~ U{0, 1}."""
    flipped = draws.gate("xflip", p) & (torch.floor(2 * draws.uniform("xflip")) == 1)
    x = torch.where(flipped, -1.0, 1.0)
    return scaling(x, torch.ones_like(x))


def quarter_turns(draws: AugmentDraws, p: float) -> Tensor:
    """i turns by 90 degrees, counter-clockwise, i ~ U{0, 1, 2, 3}."""
    turns = torch.where(draws.gate("rotate90", p), torch.floor(4 * draws.uniform("rotate90")), 0.0)
    return rotation(turns * (math.pi / 2))


def integer_shift(draws: AugmentDraws, p: float, height: int, width: int, xint_max: float) -> Tensor:
    """By round(t * side) pixels along each axis, t ~ U(-xint_max, xint_max)."""
    gate = draws.gate("xint", p)
    x, y = (
        torch.where(gate, torch.round((2 * draws.uniform(name) - 1) * xint_max * side), 0.0)
        for name, side in (("xint_x", width), ("xint_y", height))
    )
    return translation(-x, -y)
