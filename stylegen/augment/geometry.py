"""General geometry (Karras et al. 2020a, arXiv 2006.06676, appendix B): scale, rotation, stretch, fractional shift.

As in `blitting`, an operation is the map from a position in its output to the one in its input, the identity where
its gate is closed; the whole sequence is one map, through which `warp` resamples the picture once.
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from stylegen.augment.affine import rotation, scaling, translation
from stylegen.augment.augment_inputs import AugmentDraws

OPERATIONS = ("scale", "rotate", "aniso", "xfrac")


def geometry_maps(
    operations: Collection[str],
    draws: AugmentDraws,
    p: float,
    height: int,
    width: int,
    scale_std: float,
    rotate_max: float,
    aniso_std: float,
    xfrac_std: float,
) -> list[Tensor]:
    """The maps of those `operations` that are of this family, in the order of their application.

    Rotation comes twice, before and after the stretch, each with probability 1 - sqrt(1 - p): with both, all
    directions are stretched alike, and a picture is left as it stands with probability 1 - p.

    Args:
        p: probability of each.
        scale_std, aniso_std: standard deviation of log2 of the factors.
        rotate_max: largest angle, as a share of 180 degrees.
        xfrac_std: standard deviation of the shift, as a share of the picture's side.
    """
    p_rotate = 1 - math.sqrt(1 - p)
    maps = []
    if "scale" in operations:
        maps.append(isotropic_scale(draws, p, scale_std))
    if "rotate" in operations:
        maps.append(turn(draws, "rotate_before", p_rotate, rotate_max))
    if "aniso" in operations:
        maps.append(stretch(draws, p, aniso_std))
    if "rotate" in operations:
        maps.append(turn(draws, "rotate_after", p_rotate, rotate_max))
    if "xfrac" in operations:
        maps.append(fractional_shift(draws, p, height, width, xfrac_std))
    return maps


def isotropic_scale(draws: AugmentDraws, p: float, std: float) -> Tensor:
    """Enlarged by s = 2^(std n), n ~ N(0, 1)."""
    inverse = torch.where(draws.gate("scale", p), torch.exp2(-std * draws.normal("scale")), 1.0)
    return scaling(inverse, inverse)


def turn(draws: AugmentDraws, name: str, p: float, limit: float) -> Tensor:
    """Counter-clockwise by an angle ~ U(-limit pi, limit pi)."""
    angle = torch.where(draws.gate(name, p), (2 * draws.uniform(name) - 1) * (math.pi * limit), 0.0)
    return rotation(angle)


def stretch(draws: AugmentDraws, p: float, std: float) -> Tensor:
    """Enlarged by s along x and by 1 / s along y, s = 2^(std n), n ~ N(0, 1)."""
    inverse = torch.where(draws.gate("aniso", p), torch.exp2(-std * draws.normal("aniso")), 1.0)
    return scaling(inverse, 1 / inverse)


def fractional_shift(draws: AugmentDraws, p: float, height: int, width: int, std: float) -> Tensor:
    """By std n side along each axis, n ~ N(0, 1)."""
    gate = draws.gate("xfrac", p)
    x, y = (
        torch.where(gate, draws.normal(name) * std * side, 0.0)
        for name, side in (("xfrac_x", width), ("xfrac_y", height))
    )
    return translation(-x, -y)
