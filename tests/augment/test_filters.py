"""Filtering in blocks against the explicit sum, across block borders."""

import pytest
import torch

from stylegen.augment.filters import BLOCK, band_matrix, filter_height, reflect, windows


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
