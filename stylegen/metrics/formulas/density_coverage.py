"""Precision, recall, density and coverage (Naeem et al. 2020, arXiv 2002.09797, sections 2 and 3)."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylegen.features import FeatureExtractor
from stylegen.metrics.formulas.neighbours import blocks, fixed_point, radii
from stylegen.metrics.protocol.metric import FeatureSet, MetricOptions


def prdc(
    metric_id: str,
) -> Callable[[FeatureSet, FeatureSet, FeatureExtractor, MetricOptions], dict[str, float]]:
    """The four numbers in an extractor's features, under `<id>_precision`, `_recall`, `_density`, `_coverage`."""

    def compute(
        fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
    ) -> dict[str, float]:
        values = density_coverage(fakes.features, reals.features, options.prdc_neighborhood)
        return {f"{metric_id}_{name}": value for name, value in values.items()}

    return compute


def density_coverage(fakes: Tensor, reals: Tensor, k: int) -> dict[str, float]:
    """With B(x) the open ball around x that reaches to its k-th nearest other picture of its own set, M fakes y_j,
    N reals x_i:

        precision  share of the y_j that lie in any B(x_i)       recall    share of the x_i that lie in any B(y_j)
        density    sum_ij [y_j in B(x_i)] / (k M)                coverage  share of the B(x_i) with any y_j

    All are at least 0 and at most 1, except density, which is 1 on average for equal distributions, and exactly 1 for
    equal sets without ties. Borders are outside, as in the paper, and unlike in `prc`.

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
    return {
        "precision": precise / len(fakes),
        "recall": float(recalled.double().mean()),
        "density": density / (k * len(fakes)),
        "coverage": float(covered.double().mean()),
    }
