"""KID: the kernel inception distance (Binkowski et al. 2018, arXiv 1801.01401), unbiased also for few pictures."""

from stylegen.features import FeatureExtractor, fidelity
from stylegen.metrics.metric import FeatureSet, MetricOptions


def kid(fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions) -> dict[str, float]:
    """Squared MMD with the kernel (x.y / d + 1)^3: mean and deviation over subsets; about 0 for equal sets."""
    mean, spread = fidelity.kernel_distance(
        fakes.features, reals.features, options.kid_subsets, options.kid_subset_size
    )
    return {"kid": mean, "kid_std": spread}
