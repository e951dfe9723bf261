"""Affine maps of the plane as homogeneous matrices [N, 3, 3] in pixels; origin at the image center, x right, y down."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """(x, y) -> (x s_x, y s_y); factors [N]."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([x, zero, zero], [zero, y, zero], [zero, zero, one])


def rotation(angle: Tensor) -> Tensor:
    """Rotation of the x-axis toward the y-axis (clockwise, as y points down) by angles [N] in radians."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    sin, cos = torch.sin(angle), torch.cos(angle)
    return _matrix([cos, -sin, zero], [sin, cos, zero], [zero, zero, one])


def translation(x: Tensor, y: Tensor) -> Tensor:
    """(x, y) -> (x + t_x, y + t_y); pixels [N]."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([one, zero, x], [zero, one, y], [zero, zero, one])


def compose(maps: Sequence[Tensor]) -> Tensor:
    """Product of the matrices: the last map is applied first.

    Written out because matrix products may run in TF32: ten mantissa bits, too few for positions in a large image.
    """
    return reduce(lambda a, b: (a.unsqueeze(3) * b.unsqueeze(1)).sum(dim=2), maps)


def apply(source: Tensor, row: int, x: Tensor, y: Tensor) -> Tensor:
    """Coordinate `row` (0 for x, 1 for y) of the mapped points: x, y broadcast to [...] -> [N, ...]."""
    a, b, c = (entry.reshape(-1, *[1] * torch.broadcast_tensors(x, y)[0].dim()) for entry in source[:, row].unbind(1))
    return a * x + b * y + c


def _matrix(*rows: list[Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
