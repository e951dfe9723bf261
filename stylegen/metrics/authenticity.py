"""Does the generator copy its training pictures? (Alaa et al. 2022, arXiv 2102.08921, section 3.3)."""

from collections.abc import Callable

from torch import Tensor

from stylegen.features import FeatureExtractor
from stylegen.metrics.metric import FeatureSet, MetricOptions
from stylegen.metrics.neighbours import fixed_point, nearest, radii


def authenticity(
    metric_id: str,
) -> Callable[[FeatureSet, FeatureSet, FeatureExtractor, MetricOptions], dict[str, float]]:
    """`authentic_share` in an extractor's features, under this id."""

    def compute(
        fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
    ) -> dict[str, float]:
        return {metric_id: authentic_share(fakes.features, reals.features)}

    return compute


def authentic_share(fakes: Tensor, reals: Tensor) -> float:
    """Share of fakes that lie further from their nearest real than that lies from its own nearest other real.

    0: every sample is closer to a training picture than the training pictures are to each other, as copies are.
    Other real pictures score about one half.

    Args:
        fakes, reals: [M, d] and [N, d], N at least 2.
    """
    samples, images = fixed_point(fakes, reals)
    distances, rows = nearest(samples, images)
    return float((distances[:, 0] > radii(images, 1)[rows[:, 0]]).double().mean())
