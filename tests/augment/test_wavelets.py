"""Orthogonality and vanishing moments of the wavelet filters."""

import pytest
import torch

from stylegen.augment.filters import SYM2, SYM6


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
    """sum_k (-1)^k k^m h_k = 0 for m < half the length: the response has a zero of that order at the sampling limit."""
    h = torch.tensor(taps, dtype=torch.float64)
    k = torch.linspace(-1, 1, len(h), dtype=torch.float64)
    signs = 1 - 2 * (torch.arange(len(h)) % 2)
    assert h.sum().item() == pytest.approx(1, abs=1e-12)
    for order in range(len(h) // 2):
        assert (signs * k**order * h).sum().abs() < 1e-11, order


def test_sym6_is_centred_on_tap_five() -> None:
    """The centre of mass, where `warp` places a pixel among the samples at double rate."""
    h = torch.tensor(SYM6, dtype=torch.float64)
    assert (torch.arange(12) * h).sum().item() == pytest.approx(5, abs=0.1)
