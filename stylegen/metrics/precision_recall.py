"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991)."""

from stylegen.features import FeatureExtractor, fidelity
from stylegen.metrics.metric import FeatureSet, MetricOptions


def prc(fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions) -> dict[str, float]:
    """Precision: share of fakes within a real picture's ball; recall: of reals within a fake's; both in [0, 1].

    A picture's ball reaches to its k-th nearest neighbour of its own set, borders included.
    """
    precision, recall = fidelity.precision_recall(fakes.features, reals.features, options.prc_neighborhood)
    return {"precision": precision, "recall": recall}
