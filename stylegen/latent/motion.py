"""Motions of the image by its generator's input: translation, rotation and any affine map of the plane.

Positions are in units of the image's width, from its center, x to the right and y down (Karras et al. 2021, arXiv
2106.12423, section 3.2, "Transformed Fourier features").
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stylegen.bounds import brief
from stylegen.errors import UserError
from stylegen.networks import StyleGenerator

MAX_SHIFT = 1000.0  # image widths
_LEAST, _MOST = 1e-3, 1e3  # scales of a transform


def motion_matrix(translate: Sequence[float] = (0.0, 0.0), rotate: float = 0.0) -> Tensor:
    """p -> R p + t as float64 [3, 3]: first counter-clockwise by `rotate` degrees, then by `translate`."""
    angle = math.radians(rotate)
    cos, sin = math.cos(angle), math.sin(angle)
    rows = [[cos, sin, translate[0]], [-sin, cos, translate[1]], [0, 0, 1]]  # y points down
    return torch.tensor(rows, dtype=torch.float64)


def input_transform(motion: Tensor) -> Tensor:
    """The matrix for `synthesis(transform=)`, which maps positions in the image to the input: the inverse.

    Args:
        motion: [3, 3] or [N, 3, 3], of the image.
    """
    return torch.linalg.inv(motion.double().cpu())


def frame_motions(kind: str, size: float, count: int, closed: bool) -> Tensor:
    """Motions of the frames of a video, float64 [count, 3, 3].

    Args:
        kind: one of `bounds.MOTIONS`. "circle": the image's center goes once around a circle; "rotate": the image
            rotates once, counter-clockwise.
        size: radius of the circle, in image widths.
        closed: the frame after the last is the first; else the last equals the first.
    """
    phases = [k / max(count if closed else count - 1, 1) for k in range(count)]
    if kind == "rotate":
        return torch.stack([motion_matrix(rotate=360 * t) for t in phases])
    angles = [2 * math.pi * t for t in phases]
    return torch.stack([motion_matrix((size * math.cos(a), size * math.sin(a))) for a in angles])


def chosen_motion(
    generator: StyleGenerator,
    translate: Sequence[float] | str = (0.0, 0.0),
    rotate: float = 0.0,
    transform: Tensor | Sequence[Sequence[float]] | str | None = None,
) -> Tensor | None:
    """The motion of these settings, float64 [3, 3]; None for none.

    Args:
        translate: x and y, also as the text "0.1,0".
        transform: the motion as a matrix, in place of both; also as a text of nine numbers, row by row.

    Raises:
        UserError: a network whose input cannot be moved; numbers that are not finite; a matrix of another shape, a
            singular one, or one that is not affine; `transform` with another motion.
    """
    shift = _pair(translate)
    if not math.isfinite(rotate):
        raise UserError(f"rotate={rotate}", rule="must be an angle in degrees", fix="Use rotate=30")
    still = shift == (0.0, 0.0) and rotate == 0
    if transform is None and still:
        return None
    given = f"rotate={rotate:g}" if rotate else f"translate={shift[0]:g},{shift[1]:g}"
    if transform is not None and not still:
        raise UserError(
            f"transform= with {given}",
            rule="transform is the whole motion",
            fix="Omit one of them",
        )
    check_movable(generator, given if transform is None else "transform=")
    return motion_matrix(shift, rotate) if transform is None else _matrix(transform)


def check_movable(generator: StyleGenerator, setting: str) -> None:
    """Raise UserError for a network whose input cannot be moved."""
    if not generator.takes_transform:
        raise UserError(
            setting,
            rule=f"this network is {generator.name}, whose input is fixed; StyleGAN3's can be moved",
            fix=f"Omit {setting.partition('=')[0]}, or use a StyleGAN3 snapshot",
        )


def _pair(translate: Sequence[float] | str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in (translate.split(",") if isinstance(translate, str) else translate))
    except (ValueError, TypeError):
        x = y = math.nan
    if not max(abs(x), abs(y)) <= MAX_SHIFT:
        raise UserError(
            f"translate={brief(translate)}",
            rule=f"must be x,y in units of the image's width, from {-MAX_SHIFT:g} to {MAX_SHIFT:g}",
            fix="Use translate=0.1,0",
        )
    return x, y


def _matrix(transform: Tensor | Sequence[Sequence[float]] | str) -> Tensor:
    fix = "Use transform=1,0,0.1,0,1,0,0,0,1"
    try:
        if isinstance(transform, str):
            numbers = [float(part) for part in transform.replace("[", "").replace("]", "").split(",")]
            matrix = torch.tensor(numbers, dtype=torch.float64).reshape(3, 3)
        else:
            matrix = torch.as_tensor(transform, dtype=torch.float64, device="cpu")
        good = matrix.shape == (3, 3) and bool(matrix.isfinite().all())
    except (ValueError, TypeError, RuntimeError):
        good = False
    if not good:
        rule = "must be a matrix of 3x3 numbers, row by row"
        raise UserError(f"transform={brief(transform)}", rule=rule, fix=fix)
    if not torch.equal(matrix[2], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)):
        rule = "must be affine: the last row must be 0,0,1"
        raise UserError(f"transform={brief(transform)}", rule=rule, fix=fix)
    scales = torch.linalg.svdvals(matrix[:2, :2])
    if not (scales[-1] >= _LEAST and scales[0] <= _MOST and matrix[:2, 2].abs().max() <= MAX_SHIFT):
        raise UserError(
            f"transform={brief(transform)}",
            rule=f"must scale by {_LEAST:g} to {_MOST:g} in every direction, and move by at most {MAX_SHIFT:g}; "
            "a singular matrix has no inverse",
            fix=fix,
        )
    return matrix
