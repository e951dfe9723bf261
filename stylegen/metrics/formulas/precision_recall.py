"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991)."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylegen.features import FeatureExtractor
from stylegen.metrics.formulas.neighbours import blocks, fixed_point, radii
from stylegen.metrics.protocol.metric import FeatureSet, MetricOptions

OFFICIAL_NEIGHBORHOOD, OFFICIAL_MAX_REALS = 3, 200_000


def precision_recall(fakes: Tensor, reals: Tensor, k: int) -> tuple[float, float]:
    """Share of fakes inside any real image's ball, and share of reals inside any fake's (section 3); both in [0, 1].

    An image's ball reaches to its k-th nearest neighbour of its own set, border included.

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


def prc(fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions) -> dict[str, float]:
    """Precision and recall with `prc_neighborhood` as k."""
    precision, recall = precision_recall(fakes.features, reals.features, options.prc_neighborhood)
    return {"precision": precision, "recall": recall}


def official(
    metric_id: str,
) -> Callable[[FeatureSet, FeatureSet, FeatureExtractor, MetricOptions], dict[str, float]]:
    """The papers' settings under this id: k = 3, at most 200,000 reals, features rounded to float16.

    Their float16 serves speed, and rounds the distances too where a GPU takes them; here only the features are.
    """

    def compute(
        fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
    ) -> dict[str, float]:
        a, b = (side.features[:OFFICIAL_MAX_REALS].to(torch.float16).float() for side in (fakes, reals))
        precision, recall = precision_recall(a, b, OFFICIAL_NEIGHBORHOOD)
        return {f"{metric_id}_precision": precision, f"{metric_id}_recall": recall}

    return compute
