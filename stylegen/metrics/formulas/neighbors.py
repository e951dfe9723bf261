"""Distances between sets of features, block by block, and nearest neighbors.

Equal pairs of vectors have bit-identical distances at any position, on any CPU and for any number of threads, so that
comparisons at the border of a ball follow the definition. Floating-point matrix products do not guarantee that: the
order of summation differs between entries. Features are therefore converted to fixed point in two parts, short enough
that all sums of products are integers below 2^53, which float64 represents exactly.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_BLOCK = 1024


@dataclass(frozen=True)
class FixedPoint:
    """Rows of features in units of `step` * 2^-bits. Only sets from one call of `fixed_point` are comparable.

    Attributes:
        features: finite [N, d].
        step: unit of the upper part, a power of 2.
        bits: number of bits of each of the two parts.
        squares: squared length of each row, float64 [N].
    """

    features: Tensor
    step: float
    bits: int
    squares: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def parts(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Upper and lower part of some rows, integers in float64: x = step (upper + lower 2^-bits)."""
        scaled = self.features[rows].double() / self.step
        upper = scaled.round()
        return upper, ((scaled - upper) * 2**self.bits).round()


def fixed_point(*sets: Tensor) -> list[FixedPoint]:
    """Quantizes sets [N, d] to a common grid: 2^-38 of the largest value at d = 4096, finer at smaller d."""
    dim = sets[0].shape[1]
    bits = (53 - (dim - 1).bit_length()) // 2  # sums of d products of such numbers stay below 2^53
    largest = max(float(features.abs().max()) for features in sets)
    step = 2.0 ** (math.frexp(largest)[1] - bits)
    found = []
    for features in sets:
        squares = torch.empty(len(features), dtype=torch.float64)
        points = FixedPoint(features, step, bits, squares)
        for rows in _slices(len(features)):
            upper, lower = points.parts(rows)
            sums = (upper * upper).sum(1), 2 * (upper * lower).sum(1), (lower * lower).sum(1)
            squares[rows] = _combined(*sums, points)
        found.append(points)
    return found


def blocks(a: FixedPoint, b: FixedPoint) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of the rows of `a` [N, d] to all rows of `b` [M, d]: slices of `a` and float64 [n, M]."""
    for rows in _slices(len(a)):
        left = a.parts(rows)
        products = torch.cat([_products(left, b.parts(columns), a) for columns in _slices(len(b))], dim=1)
        distances = (a.squares[rows, None] + b.squares).sub_(products.mul_(2))
        yield rows, distances.clamp_min_(0)


def radii(points: FixedPoint, k: int) -> Tensor:
    """Squared distance to the k-th nearest other row: float64 [N]. There must be more than k rows."""
    found = torch.empty(len(points), dtype=torch.float64)
    for rows, distances in blocks(points, points):
        _exclude_diagonal(rows, distances)
        found[rows] = distances.kthvalue(k).values
    return found


def nearest(queries: FixedPoint, references: FixedPoint, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k rows of `references` nearest to each query, nearest first: squared distances and row numbers [N, k]."""
    parts = [distances.topk(k, largest=False) for _, distances in blocks(queries, references)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def _slices(count: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]


def _products(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor], points: FixedPoint) -> Tensor:
    mixed = left[0] @ right[1].T + left[1] @ right[0].T
    return _combined(left[0] @ right[0].T, mixed, left[1] @ right[1].T, points)


def _combined(upper: Tensor, mixed: Tensor, lower: Tensor, points: FixedPoint) -> Tensor:
    """Combines exact sums of products of parts. Rounds, but depends on the pair of rows only."""
    unit = 2.0**-points.bits
    return (upper + mixed * unit + lower * unit**2) * points.step**2


def _exclude_diagonal(rows: slice, distances: Tensor) -> None:
    distances[torch.arange(len(distances)), torch.arange(rows.start, rows.stop)] = float("inf")
