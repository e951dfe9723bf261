"""Does the generator copy its training pictures? (Alaa et al. 2022, arXiv 2102.08921, section 3.3)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from stylegen.features import FeatureExtractor
from stylegen.metrics.formulas.neighbours import FixedPoint, blocks, fixed_point, nearest
from stylegen.metrics.protocol.metric import FeatureSet, MetricOptions


def authenticity(
    metric_id: str,
) -> Callable[[FeatureSet, FeatureSet, FeatureExtractor, MetricOptions], dict[str, float]]:
    """`authentic_share` in an extractor's features, under this id."""

    def compute(
        fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
    ) -> dict[str, float]:
        return {metric_id: authentic_share(fakes.features, reals.features)}

    return compute


SAME = 1e-5
"""Two features further apart than this share of their length are those of distinct images: about 100 roundings of
float32, which is how much the features of one image may differ from batch to batch."""


def authentic_share(fakes: Tensor, reals: Tensor) -> float:
    """Share of fakes that lie further from their nearest real than that lies from the nearest distinct real.

    0: every sample is closer to a training image than distinct training images are to each other, as copies are.
    Neither direction is better: held-out reals have about one half, and an untrained network, whose samples are far
    from everything, has 1. Copies of an image in the dataset count as that image, or its ball would be empty and a
    perfect copy of it authentic.

    Args:
        fakes, reals: [M, d] and [N, d], N at least 2.
    """
    samples, images = fixed_point(fakes, reals)
    distances, rows = nearest(samples, images)
    return float((distances[:, 0] > distinct_radii(images)[rows[:, 0]]).double().mean())


def distinct_radii(points: FixedPoint) -> Tensor:
    """Squared distance to the nearest row that is not the same up to `SAME`: float64 [N]; infinite without one."""
    found = torch.empty(len(points), dtype=torch.float64)
    for rows, distances in blocks(points, points):
        same = distances <= SAME**2 * points.squares[rows, None]
        found[rows] = distances.masked_fill(same, math.inf).min(dim=1).values
    return found
