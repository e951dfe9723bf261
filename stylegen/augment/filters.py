"""FIR filters of the augmentations: wavelet taps, and filtering along an axis as products with small banded matrices.

The wavelets are the low-pass filters of Daubechies' least asymmetric family. h is orthogonal to its own even
translations, sum_k h_k h_{k+2n} = delta_n, so up-sampling by two and down-sampling with the same taps is the identity.
Its number of vanishing moments, half its length, is the largest possible. `tests/augment/test_filters.py` checks both.

A filter with few taps on few channels is the worst case of a convolution routine, above all in its second derivative.
Here the axis is cut into blocks of `BLOCK` samples that overlap by the filter's support. Each block of outputs is the
same band matrix times its window of inputs, so the axis becomes the inner dimension of a matrix product. At 32 px this
is 30 times faster on a CPU than a depthwise convolution, and autograd differentiates it to any order.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

_ROOT3 = math.sqrt(3)
# Scaled to sum one. Two vanishing moments (Daubechies 1988, "Orthonormal bases of compactly supported wavelets").
SYM2: tuple[float, ...] = tuple(c / 8 for c in (1 + _ROOT3, 3 + _ROOT3, 3 - _ROOT3, 1 - _ROOT3))
# Six vanishing moments, closest to symmetric for this length (Daubechies 1992, "Ten Lectures on Wavelets", 8.1.1); the
# center is tap 5.
SYM6: tuple[float, ...] = tuple(
    c / math.sqrt(2)
    for c in (
        0.015404109327027373,
        0.0034907120842174702,
        -0.11799011114819057,
        -0.048311742585633,
        0.4910559419267466,
        0.787641141030194,
        0.3379294217276218,
        -0.07263752278646252,
        -0.021060292512300564,
        0.04472490177066578,
        0.0017677118642428036,
        -0.007800708325034148,
    )
)

BLOCK = 32

Constant = Callable[[torch.device, torch.dtype], Tensor]
_caches: list[Callable[[], None]] = []


def cached(constant: Constant) -> Constant:
    """Decorator: a constant tensor, computed and copied once for each device and dtype."""
    kept = lru_cache(constant)
    _caches.append(kept.cache_clear)
    return kept


def forget_cached() -> None:
    """Empty the caches of `cached`, which may hold the fake tensors of a step without memory."""
    for clear in _caches:
        clear()


def band_matrix(
    taps: Sequence[float] | Tensor, rows: int, columns: int, row_step: int, column_step: int, offset: int
) -> Tensor:
    """[..., rows, columns] with entry (j, k) = taps[row_step * j + column_step * k + offset], 0 outside.

    Args:
        taps: numbers (the result is float64), or a tensor [..., K].
    """
    taps = torch.as_tensor(taps, dtype=None if isinstance(taps, Tensor) else torch.float64)
    count = taps.shape[-1]
    j, k = torch.arange(rows, device=taps.device), torch.arange(columns, device=taps.device)
    number = row_step * j[:, None] + column_step * k + offset
    inside = (number >= 0) & (number < count)
    return torch.where(inside, taps[..., number.clamp(0, count - 1)], 0)


def windows(start: int, size: int, step: int, count: int, device: torch.device) -> Tensor:
    """Input positions of `count` blocks, int64 [count, size]; block b starts at start + b * step."""
    return start + step * torch.arange(count, device=device)[:, None] + torch.arange(size, device=device)


def reflect(positions: Tensor, length: int) -> Tensor:
    """Any integer positions -> [0, length), mirrored about the first and last sample as often as needed."""
    if length == 1:
        return torch.zeros_like(positions)
    folded = positions.remainder(2 * (length - 1))
    return torch.minimum(folded, 2 * (length - 1) - folded)


def filter_height(x: Tensor, matrix: Tensor, positions: Tensor, length: int) -> Tensor:
    """[N, C, H, W] -> [N, C, length, W]: out[b M + m] = sum_k matrix[m, k] x[positions[b, k]].

    Args:
        matrix: [M, K], or [N, 1, 1, M, K] for one filter per image.
        positions: [B, K] in [0, H), B * M >= length.
    """
    blocks = x.index_select(2, positions.flatten()).unflatten(2, positions.shape)  # [N, C, B, K, W]
    return (matrix @ blocks).flatten(2, 3)[:, :, :length]
