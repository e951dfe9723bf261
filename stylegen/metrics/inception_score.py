"""IS: the inception score (Salimans et al. 2016, arXiv 1606.03498, section 4). It never looks at real pictures."""

from stylegen.features import FeatureExtractor, fidelity
from stylegen.metrics.metric import FeatureSet, MetricOptions


def isc(fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions) -> dict[str, float]:
    """exp(E KL(p(y|x) || p(y))) by Inception's 1008 logits without bias: mean and deviation over the splits."""
    assert isinstance(extractor, fidelity.Inception)
    mean, spread = fidelity.inception_score(extractor.logits(fakes.features).cpu(), options.isc_splits)
    return {"isc": mean, "isc_std": spread}
