import math

import pytest
import torch

from stylegen import randomness
from stylegen.latent.interpolation import closed_cubic, lerp, plane, slerp


def points(count: int, size: tuple[int, ...] = (3, 2)) -> torch.Tensor:
    return randomness.normal(0, "tests/interpolation", torch.arange(count), size).double()


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


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_loop_meets_every_point_and_closes(count: int) -> None:
    p = points(count).float()
    found = closed_cubic(p, torch.arange(2 * count).float())
    assert torch.equal(found, torch.cat([p, p]))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_loop_is_hermites_with_the_velocities_of_catmull_and_rom(count: int) -> None:
    """Against the four Hermite polynomials, one segment and one number at a time."""
    p, t = points(count), torch.linspace(0, count, 41, dtype=torch.float64)[:-1]
    velocity = [(p[(k + 1) % count] - p[k - 1]) / 2 for k in range(count)]
    for time, found in zip(t.tolist(), closed_cubic(p, t), strict=True):
        k, u = int(time), time % 1
        after = (k + 1) % count
        expected = (1 + 2 * u) * (1 - u) ** 2 * p[k] + u * (1 - u) ** 2 * velocity[k]
        expected += u * u * (3 - 2 * u) * p[after] + u * u * (u - 1) * velocity[after]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_velocity_of_the_loop_does_not_jump() -> None:
    p, step = points(5), 1e-6
    for k in range(5):
        before, at, after = closed_cubic(p, torch.tensor([k - step, k, k + step], dtype=torch.float64))
        torch.testing.assert_close((at - before) / step, (after - at) / step, rtol=0, atol=1e-4)
        assert (after - at).norm() > 0.1 * step


def test_one_point_is_a_loop_that_stays() -> None:
    torch.testing.assert_close(closed_cubic(points(1), torch.tensor([0.3]).double()), points(1))
