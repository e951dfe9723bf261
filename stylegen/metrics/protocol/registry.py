"""The table of metrics by id. A new one is one file and one row here; ids are stable and name what was measured.

`fid`, `kid`, `isc` and `prc` are torch-fidelity's numbers. Names with `50k` are those of the published code, all of
exactly 50,000 fakes. With `full` they are StyleGAN2-ADA's (2020): all reals, unmirrored, covariances divided by N.
Without it they are those of StyleGAN (2018) and StyleGAN2 (2019), whose papers report `fid50k`: the first 50,000 reals,
mirrored at random where the training mirrored its images, covariances divided by N - 1; `kid50k` is StyleGAN2-ADA's
for comparison with them. A Frechet distance in other features than Inception's is `fd_<extractor>`, precision to
coverage in any features `prdc_<extractor>`.
"""

from stylegen.features import FeatureExtractor
from stylegen.metrics.formulas import kernel, precision_recall
from stylegen.metrics.formulas.authenticity import authenticity
from stylegen.metrics.formulas.density_coverage import prdc
from stylegen.metrics.formulas.frechet import distance
from stylegen.metrics.formulas.inception_score import MIN_PER_SPLIT, is50k, isc
from stylegen.metrics.formulas.perceptual_path_length import path_length
from stylegen.metrics.formulas.precision_recall import OFFICIAL_NEIGHBORHOOD, prc
from stylegen.metrics.protocol.metric import FeatureSet, Metric, MetricOptions, Walk

OFFICIAL_FAKES = 50_000
DEFAULT_FAKES = 5_000  # where no name promises a number
DEFAULT_EXTRACTOR, FALLBACK_EXTRACTOR = "efficientnet_lite0", "random_vgg16"
FIRST_REALS = 50_000


def _frechet(
    key: str, extractor: str, ddof: int = 1, exact: int | None = None, first_reals: int | None = None
) -> Metric:
    """A Frechet distance under this id; covariances are divided by N - ddof."""

    def compute(
        fakes: FeatureSet, reals: FeatureSet, extractor: FeatureExtractor, options: MetricOptions
    ) -> dict[str, float]:
        assert fakes.moments is not None
        assert reals.moments is not None
        return {key: distance(fakes.moments, reals.moments, ddof)}

    return Metric(
        extractor=extractor,
        kind="moments",
        keys={key: "lower"},
        compute=compute,
        min_fakes=lambda options: 2,
        min_reals=lambda options: 4,  # two halves with a covariance each
        exact_fakes=exact,
        first_reals=first_reals,
        ddof=ddof,
    )


def _official_kid(key: str, first_reals: int | None = None) -> Metric:
    return Metric(
        extractor="inception",
        kind="features",
        keys={key: "lower"},
        compute=kernel.official(key),
        min_fakes=lambda options: 2,
        min_reals=lambda options: 2,
        exact_fakes=OFFICIAL_FAKES,
        first_reals=first_reals,
    )


def _official_prc(key: str, extractor: str, first_reals: int | None = None) -> Metric:
    return Metric(
        extractor=extractor,
        kind="features",
        keys={f"{key}_precision": "higher", f"{key}_recall": "higher"},
        compute=precision_recall.official(key),
        min_fakes=lambda options: OFFICIAL_NEIGHBORHOOD + 1,
        min_reals=lambda options: OFFICIAL_NEIGHBORHOOD + 1,
        exact_fakes=OFFICIAL_FAKES,
        first_reals=first_reals,
    )


def _prdc(extractor: str) -> Metric:
    key = f"prdc_{extractor}"
    return Metric(
        extractor=extractor,
        kind="features",
        keys={f"{key}_{name}": "higher" for name in ("precision", "recall", "density", "coverage")},
        compute=prdc(key),
        min_fakes=lambda options: options.prdc_neighborhood + 1,
        min_reals=lambda options: options.prdc_neighborhood + 1,
        size_option="prdc_neighborhood",
    )


def _authenticity(extractor: str) -> Metric:
    key = f"authenticity_{extractor}"
    return Metric(
        extractor=extractor,
        kind="features",
        keys={key: None},  # neither direction is better: held-out reals have about one half
        compute=authenticity(key),
        min_fakes=lambda options: 1,
        min_reals=lambda options: 2,
    )


def _path_length(key: str, distance: str, space: str, full: bool) -> Metric:
    return Metric(
        extractor=distance,
        kind="features",
        keys={key: "lower"},
        compute=path_length(key),
        min_fakes=lambda options: 1,
        min_reals=lambda options: 0,
        exact_fakes=OFFICIAL_FAKES if distance == "lpips" else None,
        walk=Walk(space, full),
        calibrated=False,  # pictures have no paths
    )


METRICS: dict[str, Metric] = {
    "fid": _frechet("fid", "inception"),
    "fid50k_full": _frechet("fid50k_full", "inception", ddof=0, exact=OFFICIAL_FAKES),
    "fid50k": _frechet("fid50k", "inception", exact=OFFICIAL_FAKES, first_reals=FIRST_REALS),
    "kid": Metric(
        extractor="inception",
        kind="features",
        keys={"kid": "lower", "kid_std": None},
        compute=kernel.kid,
        min_fakes=lambda options: options.kid_subset_size,
        min_reals=lambda options: options.kid_subset_size,
        size_option="kid_subset_size",
    ),
    "kid50k_full": _official_kid("kid50k_full"),
    "kid50k": _official_kid("kid50k", FIRST_REALS),
    "isc": Metric(
        extractor="inception",
        kind="features",
        keys={"isc": "higher", "isc_std": None},
        compute=isc,
        min_fakes=lambda options: options.isc_splits * MIN_PER_SPLIT,
        min_reals=lambda options: 0,
        size_option="isc_splits",
    ),
    "is50k": Metric(
        extractor="inception",
        kind="features",
        keys={"is50k_mean": "higher", "is50k_std": None},
        compute=is50k,
        min_fakes=lambda options: 1,
        min_reals=lambda options: 0,
        exact_fakes=OFFICIAL_FAKES,
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
    "pr50k3_full": _official_prc("pr50k3_full", "nvidia_vgg16"),
    "pr50k3": _official_prc("pr50k3", "nvidia_vgg16", FIRST_REALS),
    "pr50k3_full_vgg16": _official_prc("pr50k3_full_vgg16", "vgg16"),
    "ppl2_wend": _path_length("ppl2_wend", "lpips", "w", full=False),
    "ppl_wfull_uncropped": _path_length("ppl_wfull_uncropped", "lpips", "w", full=True),
    "ppl_zend_uncropped": _path_length("ppl_zend_uncropped", "lpips", "z", full=False),
    "ppl_zfull_uncropped": _path_length("ppl_zfull_uncropped", "lpips", "z", full=True),
    "ppl2_wend_random_vgg16": _path_length("ppl2_wend_random_vgg16", "lpips_random_vgg16", "w", full=False),
    "fd_efficientnet_lite0": _frechet("fd_efficientnet_lite0", "efficientnet_lite0"),
    "fd_random_vgg16": _frechet("fd_random_vgg16", "random_vgg16"),
    "fd_vgg16": _frechet("fd_vgg16", "vgg16"),
    "prdc_efficientnet_lite0": _prdc("efficientnet_lite0"),
    "prdc_random_vgg16": _prdc("random_vgg16"),
    "prdc_inception": _prdc("inception"),
    "prdc_vgg16": _prdc("vgg16"),
    "authenticity_efficientnet_lite0": _authenticity("efficientnet_lite0"),
    "authenticity_random_vgg16": _authenticity("random_vgg16"),
    "authenticity_inception": _authenticity("inception"),
}


def sense_of(key: str) -> str | None:
    """ "lower" or "higher" for a number of a card, with or without the protocol's suffix; None if neither is better."""
    senses = {name: sense for metric in METRICS.values() for name, sense in metric.keys.items()}
    known = [name for name in senses if key == name or key.startswith(f"{name}_")]
    return senses[max(known, key=len)] if known else None
