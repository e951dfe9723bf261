"""Nearest pictures, by distances between sets of features, a block at a time, in float64."""

from collections.abc import Iterator

import torch
from torch import Tensor

from stylegen.images import make_grid
from stylegen.metrics.reals import Extraction, RealImages

_BLOCK = 1024


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of rows of `a` [N, d] to all rows of `b` [M, d]: slices of `a`, and float64 [n, M]."""
    b = b.double()
    squares = b.square().sum(dim=1)
    for start in range(0, len(a), _BLOCK):
        part = a[start : start + _BLOCK].double()
        distances = part.square().sum(dim=1, keepdim=True) + squares - 2 * part @ b.T
        yield slice(start, start + len(part)), distances.clamp_min_(0)


def radii(features: Tensor, k: int) -> Tensor:
    """Squared distance to the k-th nearest other row: float64 [N]; needs more than k rows."""
    found = torch.empty(len(features), dtype=torch.float64)
    for rows, distances in blocks(features, features):
        _leave_out_itself(rows, distances)
        found[rows] = distances.kthvalue(k).values
    return found


def nearest(queries: Tensor, references: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k rows of `references` nearest to each query, nearest first: squared distances and row numbers [N, k]."""
    parts = [distances.topk(k, largest=False) for _, distances in blocks(queries, references)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def _leave_out_itself(rows: slice, distances: Tensor) -> None:
    distances[torch.arange(len(distances)), torch.arange(rows.start, rows.stop)] = float("inf")


def neighbour_figure(fakes: Tensor, reals: RealImages, extraction: Extraction, known: Tensor, k: int = 5) -> Tensor:
    """Does the generator know its training pictures by heart? A row for each sample: itself, then its k nearest reals.

    Args:
        fakes: uint8 [N, C, H, W], N small.
        reals: the dataset, of whose pictures `known` [M, dim] are the features.

    Returns:
        uint8 CHW.
    """
    _, rows = nearest(extraction.features(fakes), known, min(k, len(known)))
    cells = [torch.cat([fake[None], reals.batch(row)[0]]) for fake, row in zip(fakes, rows, strict=True)]
    return make_grid(torch.cat(cells), columns=rows.shape[1] + 1)
