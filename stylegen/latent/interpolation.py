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


def cubic(points: Tensor, times: Tensor, t: Tensor) -> Tensor:
    """A curve through `points` at `times` with continuous velocity: Hermite's cubics with the velocities of parabolas.

    Between p1 at t1 and p2 at t2 = t1 + h, with u = (t - t1) / h:

        (1 + 2u)(1 - u)^2 p1 + u^2 (3 - 2u) p2 + h u (1 - u)^2 v1 - h u^2 (1 - u) v2

    The curve has the velocity of the parabola through a point and its neighbors. With the lengths g and h of the
    intervals before and after it, and the slopes c and d of the chords:

        v = (h c + g d) / (g + h)

    At equal intervals this is the uniform curve of Catmull and Rom (1974). An open curve begins and ends with the
    velocity of the parabola of its first and last three points; two points give a line.

    Args:
        points: [K, ...].
        times: increasing; [K], K at least 2, for an open curve; [K + 1] for a closed one, which is back at point 0 at
            the last of them.
        t: [T], within `times`; any values for a closed curve, which is periodic.

    Returns:
        [T, ...]; exactly the points at their times.
    """
    times, t = times.double().cpu(), t.double().cpu()  # float32 would not hit the points exactly; MPS has no float64
    closed = len(times) > len(points)
    if closed:
        points = torch.cat([points, points[:1]])
        t = times[0] + (t - times[0]) % (times[-1] - times[0])
    lengths = times.diff().to(points).reshape(-1, *[1] * (points.ndim - 1))
    velocities = _velocities(points.diff(dim=0) / lengths, lengths, closed)
    k = (torch.searchsorted(times, t, right=True) - 1).clamp(max=len(lengths) - 1)
    u = ((t - times[k]) / times.diff()[k]).to(points).reshape(-1, *lengths.shape[1:])
    k = k.to(points.device)
    h = lengths[k]
    ends = (1 + 2 * u) * (1 - u) ** 2 * points[k] + u**2 * (3 - 2 * u) * points[k + 1]
    return ends + h * (u * (1 - u) ** 2 * velocities[k] - u**2 * (1 - u) * velocities[k + 1])


def _velocities(slopes: Tensor, lengths: Tensor, closed: bool) -> Tensor:
    """At each point, from the slopes and lengths [K, ...] of the intervals -> [K + 1, ...]."""
    if closed:  # the last interval is also before the first
        slopes, lengths = torch.cat([slopes[-1:], slopes, slopes[:1]]), torch.cat([lengths[-1:], lengths, lengths[:1]])
    g, h = lengths[:-1], lengths[1:]
    inner = (h * slopes[:-1] + g * slopes[1:]) / (g + h)
    if closed:
        return inner
    if len(slopes) == 1:
        return slopes.repeat_interleave(2, dim=0)
    # The velocity of a parabola is linear in t: the slope of a chord is the mean of those at its ends.
    return torch.cat([2 * slopes[:1] - inner[:1], inner, 2 * slopes[-1:] - inner[-1:]])
