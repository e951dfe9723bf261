"""Settings of an evaluation: options of single metrics, the protocol of StyleGAN2-ADA, and how features are extracted.

A departure from the protocol changes the names of the numbers that it affects: `Protocol.suffix`.
"""

import math
from dataclasses import dataclass, fields

from stylegen.bounds import Choice, Count, FilePath, Range, check_arguments, setting
from stylegen.errors import UserError

PROTOCOL_VERSION = 2  # of everything between the images and the statistics; part of every cache key
NOISES = ("random", "const", "none")
LABELS = ("data", "uniform")


@dataclass(frozen=True)
class MetricOptions:
    """Options of single metrics; the defaults are torch-fidelity's.

    Raises:
        UserError: a value out of its bounds.
    """

    kid_subsets: int = setting(100, Range(1, 100000), help="random subsets for `kid`")
    kid_subset_size: int = setting(
        1000, Range(2, 1000000), help="images per subset; `kid` needs as many fakes and as many reals"
    )
    isc_splits: int = setting(10, Range(1, 100000), help="splits for `isc`")
    prc_neighborhood: int = setting(3, Range(1, 10000), help="k of the k-th nearest neighbor in `prc`")
    prdc_neighborhood: int = setting(5, Range(1, 10000), help="k of the k-th nearest neighbor in `prdc_<extractor>`")

    def __post_init__(self) -> None:
        check_arguments("evaluation", MetricOptions, vars(self))


@dataclass(frozen=True)
class Protocol:
    """Choices that change the values of metrics. The defaults are StyleGAN2-ADA's.

    `mirror_reals`: StyleGAN2-ADA (2020) does not mirror its reals, even after training with mirror images. StyleGAN and
    StyleGAN2 mirror them at random; `fid50k`, `kid50k` and `pr50k3` follow these two.

    Raises:
        UserError: an unknown noise or labels; psi not finite.
    """

    truncation_psi: float = setting(
        1.0, Range(-100, 100), help="truncation of the generated images; not 1 changes the metrics' names"
    )
    noise: str = setting(
        "random",
        Choice(NOISES),
        help="noise inputs: new for each image, as stored, or none; not random changes the metrics' names",
    )
    labels: str = setting(
        "data", Choice(LABELS), help="labels as in the dataset; uniform over classes changes the metrics' names"
    )
    mirror_reals: bool = setting(False, help="count mirror images among the reals; true changes the metrics' names")

    def __post_init__(self) -> None:
        if not math.isfinite(self.truncation_psi):
            problem = f"evaluation.truncation_psi={self.truncation_psi}"
            raise UserError(problem, rule="must be a finite number", fix="Use evaluation.truncation_psi=1")
        check_arguments("evaluation", Protocol, vars(self))

    def suffix(
        self, generated: bool = True, pairs: bool = False, against_reals: bool = True, conditional: bool = True
    ) -> str:
        """Suffix of a metric's name: "" for the defaults, for example "_psi0.7_noise-const" for departures.

        A departure that does not affect the number is left out.

        Args:
            generated: False for stored images.
            pairs: the number is a path length or an equivariance, to which truncation and kind of noise do not apply.
            against_reals: the metric compares with real images.
            conditional: the generator takes labels.
        """
        parts = []
        if generated and not pairs and self.truncation_psi != 1:
            parts.append(f"_psi{self.truncation_psi:g}")
        if generated and not pairs and self.noise != "random":
            parts.append(f"_noise-{self.noise}")
        if generated and conditional and self.labels != "data":
            parts.append(f"_labels-{self.labels}")
        if against_reals and self.mirror_reals:
            parts.append("_mirrored-reals")
        return "".join(parts)


@dataclass(frozen=True)
class EvaluationSettings(MetricOptions, Protocol):
    """`evaluation.*` of the verbs that compute metrics."""

    weights: FilePath | None = setting(
        None,
        help="file or folder with the feature extractors' weights; null searches $STYLEGEN_WEIGHTS and torch's cache, "
        "then downloads them",
    )
    batch_size: Count = setting(
        64, help="images per batch of the feature extractor; affects the numbers by rounding only"
    )
    cache: bool = setting(True, help="cache the statistics of the real images on disk")
    cache_dir: FilePath | None = setting(
        None, help="folder of this cache; null for `metrics` in stylegen's cache folder"
    )
    calibrate: bool = setting(
        True, help="also report the metric for other real images, for blurred ones, and for one image repeated"
    )

    def __post_init__(self) -> None:
        MetricOptions.__post_init__(self)
        Protocol.__post_init__(self)
        check_arguments("evaluation", EvaluationSettings, vars(self))

    @property
    def options(self) -> MetricOptions:
        return MetricOptions(**{field.name: getattr(self, field.name) for field in fields(MetricOptions)})

    @property
    def protocol(self) -> Protocol:
        return Protocol(**{field.name: getattr(self, field.name) for field in fields(Protocol)})


DEFAULT_SETTINGS = EvaluationSettings()
