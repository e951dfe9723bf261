"""What a metric is: which network it looks through, what it needs, what it returns."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.features import FeatureExtractor
from stylegen.metrics.frechet import Moments

Kind = Literal["moments", "features"]


@dataclass(frozen=True)
class MetricOptions:
    """Choices inside the metrics; the defaults are torch-fidelity's.

    Args:
        kid_subsets: random subsets over which `kid` is averaged.
        kid_subset_size: pictures in each; there must be as many fakes and as many reals.
        isc_splits: parts over which `isc` is averaged.
        prc_neighborhood: `precision` and `recall` reach to this neighbour.

    Raises:
        UserError: a value below 1 (below 2 for `kid_subset_size`).
    """

    kid_subsets: int = 100
    kid_subset_size: int = 1000
    isc_splits: int = 10
    prc_neighborhood: int = 3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 2 if name == "kid_subset_size" else 1
            if value < least:
                raise UserError(f"fidelity.{name}={value}", rule=f"it is at least {least}", fix="Give a larger number")


DEFAULT_OPTIONS = MetricOptions()


class FeatureSet:
    """What is kept of the features of a set of pictures, gathered batch by batch.

    Args:
        dim: width of the features.
        kinds: what the metrics want to know.

    Attributes:
        moments: mean and scatter, if a metric wants "moments".
    """

    def __init__(self, dim: int, kinds: Iterable[Kind]) -> None:
        wanted = set(kinds)
        self.moments = Moments(dim) if "moments" in wanted else None
        self._chunks: list[Tensor] | None = [] if "features" in wanted else None

    @classmethod
    def of(cls, moments: Moments | None, features: Tensor | None) -> Self:
        """From what is already known."""
        known = cls(0, ())
        known.moments, known._chunks = moments, None if features is None else [features]
        return known

    def update(self, features: Tensor) -> None:
        """Take in features float32 [N, dim] on the CPU, in the order of the pictures."""
        if self.moments is not None:
            self.moments.update(features)
        if self._chunks is not None:
            self._chunks.append(features)

    @property
    def features(self) -> Tensor:
        """float32 [N, dim], if a metric wants "features"."""
        assert self._chunks is not None
        self._chunks = [torch.cat(self._chunks)]
        return self._chunks[0]


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Args:
        extractor: name of the feature extractor.
        kind: what of the features it needs.
        keys: names of the numbers it returns, each with "lower" or "higher" is better; None for a spread.
        compute: fakes, reals, extractor, options -> the numbers by name.
        min_fakes, min_reals: fewest pictures, given the options; 0 reals: it does not look at them.
        size_option: the option that sets these minima, offered when there are too few.
        calibrated: its references (`stylegen.metrics.calibration`) stand beside it; for Frechet distances.
    """

    extractor: str
    kind: Kind
    keys: Mapping[str, str | None]
    compute: Callable[[FeatureSet, FeatureSet, FeatureExtractor, MetricOptions], dict[str, float]]
    min_fakes: Callable[[MetricOptions], int]
    min_reals: Callable[[MetricOptions], int]
    size_option: str | None = None
    calibrated: bool = False

    @property
    def uses_reals(self) -> bool:
        return self.min_reals(DEFAULT_OPTIONS) > 0
