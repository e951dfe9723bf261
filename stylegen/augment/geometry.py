"""General geometric transformations (Karras et al. 2020a, arXiv 2006.06676, appendix B): isotropic and anisotropic
scaling, rotation, fractional translation.

As in `blitting`, an operation is the map from a position in its output to the position in its input. `warp`
resamples the image once, by the product of the maps.
"""

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stylegen.augment.affine import rotation, scaling, translation
from stylegen.augment.augment_inputs import AugmentInputs

if TYPE_CHECKING:
    from stylegen.augment.pipeline import AdaPipeline

OPERATIONS = ("scale", "rotate", "aniso", "xfrac")


def geometry_maps(
    operations: Collection[str], inputs: AugmentInputs, p: float, height: int, width: int, strengths: "AdaPipeline"
) -> list[Tensor]:
    """The maps of this family's operations among `operations`, each with probability p, in order of application.

    Rotation is applied before and after the anisotropic scaling, each time with probability 1 - sqrt(1 - p). So an
    image is not rotated with probability 1 - p, and the scaling has no preferred direction.
    """
    p_rotate = 1 - math.sqrt(1 - p)
    maps = []
    if "scale" in operations:
        maps.append(isotropic_scale(inputs, p, strengths.scale_std))
    if "rotate" in operations:
        maps.append(random_rotation(inputs, "rotate_before", p_rotate, strengths.rotate_max))
    if "aniso" in operations:
        maps.append(anisotropic_scale(inputs, p, strengths.aniso_std))
    if "rotate" in operations:
        maps.append(random_rotation(inputs, "rotate_after", p_rotate, strengths.rotate_max))
    if "xfrac" in operations:
        maps.append(fractional_translation(inputs, p, height, width, strengths.xfrac_std))
    return maps


def isotropic_scale(inputs: AugmentInputs, p: float, std: float) -> Tensor:
    """Scaling by s = 2^(std n), n ~ N(0, 1)."""
    inverse = torch.where(inputs.gate("scale", p), torch.exp2(-std * inputs.normal("scale")), 1.0)
    return scaling(inverse, inverse)


def random_rotation(inputs: AugmentInputs, name: str, p: float, limit: float) -> Tensor:
    """Counter-clockwise rotation by an angle ~ U(-limit pi, limit pi)."""
    angle = torch.where(inputs.gate(name, p), (2 * inputs.uniform(name) - 1) * (math.pi * limit), 0.0)
    return rotation(angle)


def anisotropic_scale(inputs: AugmentInputs, p: float, std: float) -> Tensor:
    """Scaling by s along x and 1 / s along y, s = 2^(std n), n ~ N(0, 1)."""
    inverse = torch.where(inputs.gate("aniso", p), torch.exp2(-std * inputs.normal("aniso")), 1.0)
    return scaling(inverse, 1 / inverse)


def fractional_translation(inputs: AugmentInputs, p: float, height: int, width: int, std: float) -> Tensor:
    """Translation by std n side along each axis, n ~ N(0, 1)."""
    gate = inputs.gate("xfrac", p)
    x, y = (
        torch.where(gate, inputs.normal(name) * std * side, 0.0)
        for name, side in (("xfrac_x", width), ("xfrac_y", height))
    )
    return translation(-x, -y)
