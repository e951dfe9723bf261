"""Wavelet taps: orthogonality and vanishing moments. Filtering in blocks against the explicit sum."""

import pytest
import torch

from stylegen.augment.filters import BLOCK, SYM2, SYM6, band_matrix, filter_height, reflect, windows


def test_reflection_is_periodic() -> None:
    assert reflect(torch.arange(-7, 9), 4).tolist() == [1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert reflect(torch.arange(-2, 3), 1).tolist() == [0] * 5


def test_reflection_equals_reflect_padding() -> None:
    x = torch.arange(5.0)
    padded = torch.nn.functional.pad(x[None], (4, 4), mode="reflect")[0]
    assert torch.equal(x[reflect(torch.arange(-4, 9), 5)], padded)


def test_band_matrix() -> None:
    matrix = band_matrix([1.0, 2.0, 3.0], 3, 5, row_step=-2, column_step=1, offset=0)
    assert matrix.tolist() == [[1, 2, 3, 0, 0], [0, 0, 1, 2, 3], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize("length", [5, BLOCK, 2 * BLOCK + 3])
def test_filter_is_a_correlation(length: int) -> None:
    x, taps = torch.randn(2, 3, length, 4, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    matrix = band_matrix(taps, BLOCK, BLOCK + 4, row_step=-1, column_step=1, offset=0)
    positions = reflect(windows(-2, BLOCK + 4, BLOCK, -(-length // BLOCK), x.device), length)
    padded = torch.nn.functional.pad(x, (0, 0, 2, 2), mode="reflect")
    slow = sum(tap * padded[:, :, k : k + length] for k, tap in enumerate(taps))
    torch.testing.assert_close(filter_height(x, matrix, positions, length), slow)


@pytest.mark.parametrize("taps", [SYM2, SYM6])
def test_orthogonal_to_even_shifts(taps: tuple[float, ...]) -> None:
    """2 sum_k h_k h_{k+2n} = delta_n at sum one: up-sampling by two, then down-sampling, is the identity."""
    h = torch.tensor(taps, dtype=torch.float64)
    products = [2 * (h[: len(h) - 2 * n] * h[2 * n :]).sum() for n in range(len(h) // 2)]
    torch.testing.assert_close(
        torch.stack(products), torch.eye(len(h) // 2, dtype=torch.float64)[0], atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("taps", [SYM2, SYM6])
def test_vanishing_moments(taps: tuple[float, ...]) -> None:
    """sum_k (-1)^k k^m h_k = 0 for m < half the length: the response has zeros of that order at Nyquist."""
    h = torch.tensor(taps, dtype=torch.float64)
    k = torch.linspace(-1, 1, len(h), dtype=torch.float64)
    signs = 1 - 2 * (torch.arange(len(h)) % 2)
    assert h.sum().item() == pytest.approx(1, abs=1e-12)
    for order in range(len(h) // 2):
        assert (signs * k**order * h).sum().abs() < 1e-11, order


def test_sym6_is_centered_on_tap_five() -> None:
    """Center of mass: `warp` assumes it when placing pixels among the samples at double rate."""
    h = torch.tensor(SYM6, dtype=torch.float64)
    assert (torch.arange(12) * h).sum().item() == pytest.approx(5, abs=0.1)
