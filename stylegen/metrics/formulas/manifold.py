"""Metrics of balls around features: precision and recall, density and coverage, authenticity.

The radius of a ball is the distance to the k-th nearest neighbor in the same set; the union of the balls approximates
the manifold. Distances are exact; see `neighbors`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from stylegen.metrics.formulas.neighbors import FixedPoint, blocks, fixed_point, nearest, radii

OFFICIAL_NEIGHBORHOOD, OFFICIAL_MAX_REALS = 3, 200_000

SAME = 1e-5
"""Largest relative distance between two features of the same image: about 100 float32 roundings, because rounding
depends on the batch."""


class PRDC(NamedTuple):
    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(fakes: Tensor, reals: Tensor, k: int) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991, section 3), both in [0, 1].

    Precision is the share of fakes inside the ball of any real image, recall the share of reals inside the ball of any
    fake. Borders are included.

    Args:
        fakes, reals: [M, d] and [N, d], each with more than `k` rows.
    """
    samples, images = fixed_point(fakes, reals)
    around_fakes, around_reals = radii(samples, k), radii(images, k)
    precise = 0
    recalled = torch.zeros(len(reals), dtype=torch.bool)
    for rows, distances in blocks(samples, images):
        precise += int((distances <= around_reals).any(dim=1).sum())
        recalled |= (distances <= around_fakes[rows, None]).any(dim=0)
    return precise / len(fakes), float(recalled.double().mean())


def official_precision_recall(fakes: Tensor, reals: Tensor) -> tuple[float, float]:
    """`precision_recall` with the papers' settings: k = 3, at most 200,000 images per side, features in float16.

    The published code uses float16 for speed and, on a GPU, rounds distances too; here, only features.
    """
    a, b = (side[:OFFICIAL_MAX_REALS].to(torch.float16).float() for side in (fakes, reals))
    return precision_recall(a, b, OFFICIAL_NEIGHBORHOOD)


def density_coverage(fakes: Tensor, reals: Tensor, k: int) -> PRDC:
    """Precision, recall, density and coverage (Naeem et al. 2020, arXiv 2002.09797, sections 2 and 3).

    With B(x) the open ball around x up to its k-th nearest neighbor in its own set, M fakes y_j and N reals x_i:

        precision  share of the y_j in any B(x_i)          recall    share of the x_i in any B(y_j)
        density    sum_ij [y_j in B(x_i)] / (k M)          coverage  share of the B(x_i) that contain any y_j

    All are in [0, 1], except density, which has mean 1 for equal distributions and is exactly 1 for equal sets without
    ties. Borders are excluded, as in the paper and unlike in `precision_recall`.

    Args:
        fakes, reals: [M, d] and [N, d], each with more than `k` rows.
    """
    samples, images = fixed_point(fakes, reals)
    around_fakes, around_reals = radii(samples, k), radii(images, k)
    precise = density = 0
    covered = torch.zeros(len(reals), dtype=torch.bool)
    recalled = torch.zeros(len(reals), dtype=torch.bool)
    for rows, distances in blocks(samples, images):
        inside = distances < around_reals
        precise += int(inside.any(dim=1).sum())
        density += int(inside.sum())
        covered |= inside.any(dim=0)
        recalled |= (distances < around_fakes[rows, None]).any(dim=0)
    return PRDC(
        precision=precise / len(fakes),
        recall=float(recalled.double().mean()),
        density=density / (k * len(fakes)),
        coverage=float(covered.double().mean()),
    )


def authentic_share(fakes: Tensor, reals: Tensor) -> float:
    """Share of fakes that are farther from their nearest real than it is from its nearest distinct real.

    After Alaa et al. 2022, arXiv 2102.08921, section 3.3. At 0, every sample is closer to a training image than
    distinct training images are to each other, like copies. Neither direction is better: held-out reals have about
    0.5; an untrained network has 1, because its samples are far from all reals. Duplicates in the dataset count as one
    image; otherwise its ball would be empty, and a perfect copy of it authentic.

    Args:
        fakes, reals: [M, d] and [N, d], N at least 2.
    """
    samples, images = fixed_point(fakes, reals)
    distances, rows = nearest(samples, images)
    return float((distances[:, 0] > distinct_radii(images)[rows[:, 0]]).double().mean())


def distinct_radii(points: FixedPoint) -> Tensor:
    """Squared distance to the nearest row that differs by more than `SAME`: float64 [N]; infinite without one."""
    found = torch.empty(len(points), dtype=torch.float64)
    for rows, distances in blocks(points, points):
        same = distances <= SAME**2 * points.squares[rows, None]
        found[rows] = distances.masked_fill(same, math.inf).min(dim=1).values
    return found
