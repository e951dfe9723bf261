"""The table of metrics by id. A new one is one file and one row here; ids are stable and name what was measured.

`fid` is Inception's alone: a Frechet distance in other features is `fd_<extractor>`.
"""

from collections.abc import Callable

from stylegen.features import FeatureExtractor
from stylegen.metrics.frechet import distance
from stylegen.metrics.inception_score import isc
from stylegen.metrics.kernel import kid
from stylegen.metrics.metric import FeatureSet, Metric, MetricOptions
from stylegen.metrics.precision_recall import prc


def _frechet(
    key: str,
) -> Callable[[FeatureSet, FeatureSet, FeatureExtractor, MetricOptions], dict[str, float]]:
    """A Frechet distance under this id, covariances divided by N - 1 as torch-fidelity does."""

    def compute(
        fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
    ) -> dict[str, float]:
        assert fakes.moments is not None
        assert reals.moments is not None
        return {key: distance(fakes.moments, reals.moments)}

    return compute


METRICS: dict[str, Metric] = {
    "fid": Metric(
        extractor="inception",
        kind="moments",
        keys={"fid": "lower"},
        compute=_frechet("fid"),
        min_fakes=lambda options: 2,
        min_reals=lambda options: 4,  # two halves with a covariance each
        calibrated=True,
    ),
    "kid": Metric(
        extractor="inception",
        kind="features",
        keys={"kid": "lower", "kid_std": None},
        compute=kid,
        min_fakes=lambda options: options.kid_subset_size,
        min_reals=lambda options: options.kid_subset_size,
        size_option="kid_subset_size",
    ),
    "isc": Metric(
        extractor="inception",
        kind="features",
        keys={"isc": "higher", "isc_std": None},
        compute=isc,
        min_fakes=lambda options: options.isc_splits,
        min_reals=lambda options: 0,
        size_option="isc_splits",
    ),
    "prc": Metric(
        extractor="vgg16",
        kind="features",
        keys={"precision": "higher", "recall": "higher"},
        compute=prc,
        min_fakes=lambda options: options.prc_neighborhood + 1,
        min_reals=lambda options: options.prc_neighborhood + 1,
        size_option="prc_neighborhood",
    ),
    "fd_random_vgg16": Metric(
        extractor="random_vgg16",
        kind="moments",
        keys={"fd_random_vgg16": "lower"},
        compute=_frechet("fd_random_vgg16"),
        min_fakes=lambda options: 2,
        min_reals=lambda options: 4,
        calibrated=True,
    ),
}
