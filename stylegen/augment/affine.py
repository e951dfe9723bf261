"""Plane maps as homogeneous matrices [N, 3, 3], in pixels with the origin at the picture's centre, x right, y down."""

import torch
from torch import Tensor


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """(x, y) -> (x s_x, y s_y); factors [N]."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([x, zero, zero], [zero, y, zero], [zero, zero, one])


def rotation(angle: Tensor) -> Tensor:
    """Turns the x-axis towards the y-axis: clockwise on a screen, whose y points down. Radians [N]."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    sin, cos = torch.sin(angle), torch.cos(angle)
    return _matrix([cos, -sin, zero], [sin, cos, zero], [zero, zero, one])


def translation(x: Tensor, y: Tensor) -> Tensor:
    """(x, y) -> (x + t_x, y + t_y); pixels [N]."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([one, zero, x], [zero, one, y], [zero, zero, one])


def _matrix(*rows: list[Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
