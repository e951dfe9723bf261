import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.metrics.formulas.frechet import Moments, distance, frechet_distance


def features(count: int, dim: int, purpose: str = "a", scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return randomness.normal(0, f"tests/{purpose}", torch.arange(count), (dim,)).double() * scale + shift


def moments(values: Tensor, batch: int | None = None) -> Moments:
    result = Moments(values.shape[1])
    for part in values.split(batch or len(values)):
        result.update(part)
    return result


def test_one_dimension_in_closed_form() -> None:
    one = torch.ones(1, dtype=torch.float64)
    # (m1 - m2)^2 + (s1 - s2)^2
    assert frechet_distance(2 * one, 9 * one[None], -one, 4 * one[None]) == pytest.approx(9 + 1)


def test_diagonal_gaussians_in_closed_form() -> None:
    mean_1, mean_2 = features(1, 6)[0], features(1, 6, "b")[0]
    deviation_1, deviation_2 = features(1, 6, "c")[0].abs(), features(1, 6, "d")[0].abs()
    expected = ((mean_1 - mean_2) ** 2 + (deviation_1 - deviation_2) ** 2).sum().item()
    found = frechet_distance(mean_1, deviation_1.square().diag(), mean_2, deviation_2.square().diag())
    assert found == pytest.approx(expected, rel=1e-12)


def test_against_the_matrix_square_root() -> None:
    mixing = features(12, 12, "mixing")
    a, b = moments(features(80, 12) @ mixing), moments(features(70, 12, "b", 1.3, 0.2))
    root = scipy.linalg.sqrtm(a.covariance().numpy() @ b.covariance().numpy()).real
    shift = (a.mean - b.mean).numpy()
    expected = shift @ shift + np.trace(a.covariance().numpy() + b.covariance().numpy() - 2 * root)
    assert distance(a, b) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("count", [200, 5])
def test_identical_sets_are_at_distance_0_at_any_rank(count: int) -> None:
    a = moments(features(count, 32, scale=3, shift=100))
    assert 0 <= distance(a, a) < 1e-9 * float(a.covariance().trace())


def test_fewer_images_than_features() -> None:
    """Two images each: covariances S = d d^T / 2 of rank 1, Tr(S1 S2)^1/2 = |d1.d2| / 2."""
    a, b = features(2, 40), features(2, 40, "b")
    d1, d2 = a[0] - a[1], b[0] - b[1]
    shift = a.mean(0) - b.mean(0)
    expected = (shift @ shift + d1 @ d1 / 2 + d2 @ d2 / 2 - (d1 @ d2).abs()).item()
    assert distance(moments(a), moments(b)) == pytest.approx(expected, rel=1e-9)


def test_no_spread_at_all() -> None:
    a = moments(features(50, 8))
    point = Moments.of(50, torch.zeros(8, dtype=torch.float64), torch.zeros(8, 8, dtype=torch.float64))
    expected = float(a.mean @ a.mean + a.covariance().trace())
    assert distance(a, point) == pytest.approx(expected, rel=1e-12)
    assert distance(point, point) == 0


def test_symmetric_and_scales_quadratically() -> None:
    a, b = features(60, 8), features(60, 8, "b", 0.5)
    there = distance(moments(a), moments(b))
    assert distance(moments(b), moments(a)) == pytest.approx(there, rel=1e-12)
    assert distance(moments(3 * a), moments(3 * b)) == pytest.approx(9 * there, rel=1e-12)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_streaming_equals_one_shot(batch: int) -> None:
    values = features(100, 6, shift=1000)  # raw sums lose digits if the mean is far from 0
    streamed = moments(values, batch)
    assert streamed.count == 100
    torch.testing.assert_close(streamed.mean, values.mean(0), rtol=1e-13, atol=0)
    torch.testing.assert_close(streamed.covariance(), torch.cov(values.T), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(streamed.covariance(0), torch.cov(values.T, correction=0), rtol=1e-9, atol=1e-12)


def test_merging_shares_of_several_processes() -> None:
    values = features(90, 6)
    whole, first, empty = moments(values), moments(values[::2]), Moments(6)
    first.merge(moments(values[1::2]))
    first.merge(empty)
    empty.merge(first)
    for merged in (first, empty):
        assert merged.count == 90
        torch.testing.assert_close(merged.mean, whole.mean)
        torch.testing.assert_close(merged.covariance(), whole.covariance())


def test_merging_nothing_into_nothing() -> None:
    a = Moments(3)
    a.merge(Moments(3))
    a.update(torch.empty(0, 3))
    assert a.count == 0
    with pytest.raises(ValueError, match="of 0 feature vectors"):
        a.covariance()


def test_float32_features_are_summed_in_float64() -> None:
    values = features(1000, 4, shift=1e4).float()
    assert moments(values, 10).mean.dtype == torch.float64
    assert math.isclose(moments(values, 10).mean[0].item(), values[:, 0].double().mean().item(), rel_tol=1e-14)
