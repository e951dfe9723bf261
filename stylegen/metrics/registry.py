"""The table of metrics by id. A new one is one file and one row here; ids are stable and name what was measured.

`fid`, `kid`, `isc` and `prc` are torch-fidelity's numbers. Names with `50k` and `full` are StyleGAN2-ADA's: exactly
50,000 fakes, all reals, covariances divided by N. A Frechet distance in other features than Inception's is
`fd_<extractor>`, precision to coverage in any features `prdc_<extractor>`.
"""

from stylegen.features import FeatureExtractor
from stylegen.metrics.authenticity import authenticity
from stylegen.metrics.density_coverage import prdc
from stylegen.metrics.frechet import distance
from stylegen.metrics.inception_score import isc
from stylegen.metrics.kernel import kid, kid_full
from stylegen.metrics.metric import FeatureSet, Metric, MetricOptions, Walk
from stylegen.metrics.path_length import path_length
from stylegen.metrics.precision_recall import OFFICIAL_NEIGHBORHOOD, official, prc

OFFICIAL_FAKES = 50_000


def _frechet(key: str, extractor: str, ddof: int = 1, exact: int | None = None) -> Metric:
    """A Frechet distance under this id: ddof 1 divides covariances by N - 1 as torch-fidelity does, 0 by N."""

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
    )


def _official_prc(key: str, extractor: str) -> Metric:
    return Metric(
        extractor=extractor,
        kind="features",
        keys={f"{key}_precision": "higher", f"{key}_recall": "higher"},
        compute=official(key),
        min_fakes=lambda options: OFFICIAL_NEIGHBORHOOD + 1,
        min_reals=lambda options: OFFICIAL_NEIGHBORHOOD + 1,
        exact_fakes=OFFICIAL_FAKES,
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
        keys={key: "higher"},
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
    "kid": Metric(
        extractor="inception",
        kind="features",
        keys={"kid": "lower", "kid_std": None},
        compute=kid,
        min_fakes=lambda options: options.kid_subset_size,
        min_reals=lambda options: options.kid_subset_size,
        size_option="kid_subset_size",
    ),
    "kid50k_full": Metric(
        extractor="inception",
        kind="features",
        keys={"kid50k_full": "lower"},
        compute=kid_full,
        min_fakes=lambda options: 2,
        min_reals=lambda options: 2,
        exact_fakes=OFFICIAL_FAKES,
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
    "pr50k3_full": _official_prc("pr50k3_full", "nvidia_vgg16"),
    "pr50k3_full_vgg16": _official_prc("pr50k3_full_vgg16", "vgg16"),
    "ppl2_wend": _path_length("ppl2_wend", "lpips", "w", full=False),
    "ppl_wfull_uncropped": _path_length("ppl_wfull_uncropped", "lpips", "w", full=True),
    "ppl_zend_uncropped": _path_length("ppl_zend_uncropped", "lpips", "z", full=False),
    "ppl_zfull_uncropped": _path_length("ppl_zfull_uncropped", "lpips", "z", full=True),
    "ppl2_wend_random_vgg16": _path_length("ppl2_wend_random_vgg16", "lpips_random_vgg16", "w", full=False),
    "fd_random_vgg16": _frechet("fd_random_vgg16", "random_vgg16"),
    "fd_vgg16": _frechet("fd_vgg16", "vgg16"),
    "prdc_random_vgg16": _prdc("random_vgg16"),
    "prdc_inception": _prdc("inception"),
    "prdc_vgg16": _prdc("vgg16"),
    "authenticity_random_vgg16": _authenticity("random_vgg16"),
    "authenticity_inception": _authenticity("inception"),
}


def sense_of(key: str) -> str | None:
    """ "lower" or "higher" for a number of a card, with or without the protocol's suffix; None if neither is better."""
    senses = {name: sense for metric in METRICS.values() for name, sense in metric.keys.items()}
    known = [name for name in senses if key == name or key.startswith(f"{name}_")]
    return senses[max(known, key=len)] if known else None
