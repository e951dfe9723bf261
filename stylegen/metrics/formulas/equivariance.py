"""Equivariance to translation and rotation (Karras et al. 2021, arXiv 2106.12423, section 3.1 and appendix E).

The peak signal-to-noise ratio, in decibels, between the image of a moved input and the moved image:

    EQ = 10 log10( I_max^2 / mean (g(t[z_0]; w) - t[g(z_0; w)])^2 ),    I_max = 2, the width of [-1, 1],

over images, valid pixels and channels. The motion t is a translation by up to 1/8 of the image along each axis, rounded
to whole pixels (EQ-T) or not (EQ-T_frac), or a rotation by any angle (EQ-R), in which case the image of the moved
input is restricted to the same frequencies. Images stay floats, neither truncated nor quantized.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.features import SquaredError, ieee_float32
from stylegen.latent.motion import input_transform, motion_matrix
from stylegen.latent.seeds import random_labels
from stylegen.metrics.formulas.reference_motions import Moved, band_limited, rotated, translated
from stylegen.networks import StyleGenerator
from stylegen.one_hot import OneHot

MAX_TRANSLATION = 1 / 8  # of the image
PEAK = 2.0


@dataclass(frozen=True)
class Motion:
    """The motions to measure.

    Args:
        kind: "whole" or "fractional" pixels of a translation, or "rotation".
    """

    kind: str


def motion_errors(
    generator: StyleGenerator,
    label_table: Tensor | OneHot,
    motion: Motion,
    numbers: list[int],
    batch_size: int,
    error: SquaredError,
) -> Iterator[Tensor]:
    """Sums of squares and numbers of values, of the images `numbers`: batches of float32 [n, 2].

    Image and motion i depend on i only.
    """
    for start in range(0, len(numbers), batch_size):
        part = numbers[start : start + batch_size]
        with ieee_float32(next(generator.parameters()).device):
            expected, found, valid = _both_images(generator, label_table, motion, part)
            rows = error(found, expected, valid)
        yield rows.cpu()


def motions(motion: Motion, index: Tensor, resolution: int) -> Tensor:
    """The motion of each image of `index` [N]: x and y in pixels [N, 2], or the angle in radians [N], float64."""
    if motion.kind == "rotation":
        return math.pi * (2 * randomness.uniform(0, "eq/angle", index).double() - 1)
    shifts = 2 * randomness.uniform(0, f"eq/{motion.kind}", index, (2,)).double() - 1
    pixels = shifts * MAX_TRANSLATION * resolution
    return pixels.round() if motion.kind == "whole" else pixels


@torch.no_grad()
def _both_images(
    generator: StyleGenerator, label_table: Tensor | OneHot, motion: Motion, numbers: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The moved images, the images of the moved input, and where both are valid."""
    weight, side = next(generator.parameters()), generator.level.resolution
    index = torch.tensor(numbers, device=weight.device)
    z = randomness.normal(0, "eq/z", index, (generator.z_dim,)).to(weight.dtype)
    w = generator.mapping(z, random_labels(numbers, label_table).to(weight))
    ws = w[:, None].expand(-1, generator.num_ws, -1)
    amounts = motions(motion, index.cpu(), side)

    def image(matrices: Tensor) -> Tensor:
        return generator.synthesis(ws, transform=input_transform(matrices).to(weight))

    still = image(motion_matrix().expand(len(numbers), 3, 3))
    if motion.kind == "rotation":
        moved = image(torch.stack([motion_matrix(rotate=math.degrees(angle)) for angle in amounts.tolist()]))
        expected, valid = rotated(still, amounts)
        found, also = band_limited(moved, amounts)
        return expected, found, valid * also
    moved = image(torch.stack([motion_matrix((x / side, y / side)) for x, y in amounts.tolist()]))
    expected, valid = _translated(still, amounts, motion)
    return expected, moved, valid


def _translated(images: Tensor, amounts: Tensor, motion: Motion) -> Moved:
    return translated(images, amounts.to(images.device), whole=motion.kind == "whole")


def peak_ratio(rows: Tensor) -> float:
    """EQ in decibels from all rows [N, 2] of `motion_errors`, in float64."""
    squares, count = rows.double().sum(dim=0).tolist()
    return 10 * math.log10(PEAK**2 * count / max(squares, 1e-30))
