"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991)."""

from collections.abc import Callable

import torch

from stylegen.features import FeatureExtractor, fidelity
from stylegen.metrics.metric import FeatureSet, MetricOptions

OFFICIAL_NEIGHBORHOOD, OFFICIAL_MAX_REALS = 3, 200_000


def prc(fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions) -> dict[str, float]:
    """Precision: share of fakes within a real picture's ball; recall: of reals within a fake's; both in [0, 1].

    A picture's ball reaches to its k-th nearest neighbour of its own set, borders included.
    """
    precision, recall = fidelity.precision_recall(fakes.features, reals.features, options.prc_neighborhood)
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
        precision, recall = fidelity.precision_recall(a, b, OFFICIAL_NEIGHBORHOOD)
        return {f"{metric_id}_precision": precision, f"{metric_id}_recall": recall}

    return compute
