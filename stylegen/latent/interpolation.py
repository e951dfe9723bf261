"""Paths between latents, as formulas on tensors."""

import torch
from torch import Tensor
from torch.nn import functional

_PARALLEL = 1e-9  # radians


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The line (1 - t) a + t b; `b` itself at t = 1.

    Args:
        a, b: [...].
        t: [T].

    Returns:
        [T, ...].
    """
    t = t.reshape(-1, *[1] * a.ndim)
    return (1 - t) * a + t * b


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985): sin((1 - t) o) a / sin o + sin(t o) b / sin o, o the angle of a and b.

    The length of the result is interpolated linearly: vectors of equal length keep it.

    Args:
        a, b: [N, D].
        t: [N, 1].

    Returns:
        [N, D]; the line where both are parallel.
    """
    length = torch.lerp(a.double().norm(dim=1, keepdim=True), b.double().norm(dim=1, keepdim=True), t.double())
    dtype = a.dtype
    a, b = functional.normalize(a, dim=1).double(), functional.normalize(b, dim=1).double()
    angle = (a * b).sum(dim=1, keepdim=True).clamp(-1, 1).acos()
    mixed = ((1 - t.double()) * angle).sin() * a + (t.double() * angle).sin() * b
    return (length * torch.where(angle > _PARALLEL, mixed / angle.sin(), a)).to(dtype)


def plane(origin: Tensor, right: Tensor, down: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Points of the plane that two directions span: origin + x right + y down.

    Args:
        origin, right, down: [...].
        x: [X]. y: [Y].

    Returns:
        [Y, X, ...].
    """
    x, y = x.reshape(1, -1, *[1] * origin.ndim), y.reshape(-1, 1, *[1] * origin.ndim)
    return origin + x * right + y * down


def closed_cubic(points: Tensor, t: Tensor) -> Tensor:
    """A closed curve through the points with continuous velocity: Catmull and Rom (1974), uniform.

    Between p1 and p2, with the neighbours p0 and p3 and u = t - floor(t):

        (2 p1 + (p2 - p0) u + (2 p0 - 5 p1 + 4 p2 - p3) u^2 + (3 p1 - p0 - 3 p2 + p3) u^3) / 2

    Each coefficient is fixed by: the curve is p1 at u = 0 and p2 at u = 1, its velocities there are (p2 - p0) / 2 and
    (p3 - p1) / 2.

    Args:
        points: [K, ...], K at least 1; point 0 follows point K - 1.
        t: [T]; the curve is `points[k]` at t = k, with period K.

    Returns:
        [T, ...].
    """
    count = len(points)
    first = t.floor()
    u = (t - first).reshape(-1, *[1] * (points.ndim - 1))
    p0, p1, p2, p3 = (points[(first.long() + k) % count] for k in (-1, 0, 1, 2))
    quadratic, cubic = 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * p1 - p0 - 3 * p2 + p3
    return p1 + ((p2 - p0) + (quadratic + cubic * u) * u) * u / 2
