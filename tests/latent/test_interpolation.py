import math

import pytest
import torch

from stylegen import randomness
from stylegen.latent.interpolation import cubic, lerp, plane, slerp


def points(count: int, size: tuple[int, ...] = (3, 2)) -> torch.Tensor:
    return randomness.normal(0, "tests/interpolation", torch.arange(count), size).double()


def uneven(count: int) -> torch.Tensor:
    """Increasing times from 0."""
    return torch.tensor([0, 1, 1.5, 4, 4.25, 6, 9, 10], dtype=torch.float64)[:count]


def test_lerp_is_the_line_with_both_ends() -> None:
    a, b = points(2).float()
    found = lerp(a, b, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(found[0], a)
    assert torch.equal(found[2], b)
    torch.testing.assert_close(found[1], a + (b - a) / 4)


def test_slerp_goes_along_the_great_circle() -> None:
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    for t in (0.0, 0.25, 1.0):
        angle = t * math.pi / 2
        found = slerp(a, b, torch.tensor([[t]]))[0].tolist()
        assert found == pytest.approx([2 * math.cos(angle), 2 * math.sin(angle)], abs=1e-6)


def test_slerp_keeps_the_norm() -> None:
    a, b = points(2, (6, 16))
    b = b / b.norm(dim=1, keepdim=True) * a.norm(dim=1, keepdim=True)
    for t in torch.linspace(0, 1, 7).double():
        found = slerp(a, b, t.expand(6, 1))
        torch.testing.assert_close(found.norm(dim=1), a.norm(dim=1), rtol=1e-12, atol=0)
    torch.testing.assert_close(slerp(a, a, torch.full((6, 1), 0.3).double()), a, rtol=1e-12, atol=0)


def test_a_plane_has_its_corners() -> None:
    a, b, c = points(3)
    t = torch.tensor([0.0, 0.5, 1.0]).double()
    found = plane(a, b - a, c - a, t, t)
    assert found.shape == (3, 3, *a.shape)
    torch.testing.assert_close(found[0, 0], a)
    torch.testing.assert_close(found[0, 2], b)
    torch.testing.assert_close(found[2, 0], c)
    torch.testing.assert_close(found[2, 2], b + c - a)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_curve_meets_every_point_at_its_time(count: int, closed: bool) -> None:
    p, times = points(count).float(), uneven(count + closed)
    assert torch.equal(cubic(p, times, times), torch.cat([p, p[:1]]) if closed else p)
    if closed:
        period = times[-1] - times[0]
        torch.testing.assert_close(cubic(p, times, times[:-1] + period), p, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_closed_curve_at_equal_times_equals_catmull_and_rom(count: int) -> None:
    """p1 + ((p2 - p0) u + (2 p0 - 5 p1 + 4 p2 - p3) u^2 + (3 p1 - p0 - 3 p2 + p3) u^3) / 2, one number at a time."""
    p, t = points(count), torch.linspace(0, count, 41, dtype=torch.float64)[:-1]
    for time, found in zip(t.tolist(), cubic(p, torch.arange(count + 1), t), strict=True):
        u = time % 1
        p0, p1, p2, p3 = (p[(int(time) + k) % count] for k in (-1, 0, 1, 2))
        expected = p1 + (p2 - p0) * u / 2 + (2 * p0 - 5 * p1 + 4 * p2 - p3) * u**2 / 2
        expected += (3 * p1 - p0 - 3 * p2 + p3) * u**3 / 2
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("closed", [True, False])
def test_the_velocity_does_not_jump_at_uneven_times(closed: bool) -> None:
    p, times, step = points(5), uneven(5 + closed), 1e-6
    for k in range(0 if closed else 1, 5 if closed else 4):
        before, at, after = cubic(p, times, times[k] + torch.tensor([-step, 0, step], dtype=torch.float64))
        torch.testing.assert_close((at - before) / step, (after - at) / step, rtol=0, atol=1e-4)
        assert (after - at).norm() > 0.1 * step


def test_points_of_a_parabola_give_the_parabola() -> None:
    """Three points determine its velocities; an open curve has them at its ends too."""
    times, t = uneven(6), torch.linspace(0, 1, 50, dtype=torch.float64) * uneven(6)[-1]
    torch.testing.assert_close(
        cubic((times**2 - 3 * times)[:, None], times, t), (t**2 - 3 * t)[:, None], rtol=0, atol=1e-12
    )
    line = cubic(points(2), uneven(2), t[t < uneven(2)[-1]])
    torch.testing.assert_close(line.diff(n=2, dim=0), torch.zeros_like(line[2:]), rtol=0, atol=1e-12)


def test_points_may_be_on_another_device_than_times() -> None:
    assert cubic(points(3).to("meta"), uneven(4), uneven(4)).device.type == "meta"
