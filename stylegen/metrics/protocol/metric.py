"""What a metric is: which network it looks through, what it needs, what it returns."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from stylegen import distributed
from stylegen.bounds import Range, check_arguments
from stylegen.metrics.formulas.frechet import Moments

Kind = Literal["moments", "features"]
Compute = Callable[["FeatureSet", "FeatureSet", Any, "MetricOptions"], dict[str, float]]


def gather_moments(moments: Moments) -> Moments:
    """On rank 0 the moments of all ranks' images, merged in the order of ranks; `moments` elsewhere."""
    if not distributed.is_distributed():
        return moments
    counts = distributed.gather_to_first(torch.tensor([moments.count]))
    means, scatters = distributed.gather_to_first(moments.mean), distributed.gather_to_first(moments.scatter)
    whole = Moments(len(moments.mean))
    for count, mean, scatter in zip(counts, means, scatters, strict=True):
        whole.merge(Moments.of(int(count), mean, scatter))
    return whole


@dataclass(frozen=True)
class MetricOptions:
    """Choices inside the metrics; the defaults are torch-fidelity's.

    Args:
        kid_subsets: random subsets over which `kid` is averaged.
        kid_subset_size: pictures in each; there must be as many fakes and as many reals.
        isc_splits: parts over which `isc` is averaged.
        prc_neighborhood: `precision` and `recall` of `prc` reach to this neighbour.
        prdc_neighborhood: the balls of `prdc_<extractor>` reach to this neighbour; 5 in the paper.

    Raises:
        UserError: a value out of its bounds.
    """

    kid_subsets: Annotated[int, Range(1, 100000)] = 100
    kid_subset_size: Annotated[int, Range(2, 1000000)] = 1000
    isc_splits: Annotated[int, Range(1, 100000)] = 10
    prc_neighborhood: Annotated[int, Range(1, 10000)] = 3
    prdc_neighborhood: Annotated[int, Range(1, 10000)] = 5

    def __post_init__(self) -> None:
        check_arguments("evaluation", MetricOptions, vars(self))


DEFAULT_OPTIONS = MetricOptions()
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Walk:
    """Which paths a path length measures.

    Args:
        space: "w" or "z".
        full: t uniform in [0, 1); else at the path's beginning.
    """

    space: str
    full: bool


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
        self._dim = dim

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
        if len(self._chunks) != 1:
            self._chunks = [torch.cat(self._chunks) if self._chunks else torch.empty(0, self._dim)]
        return self._chunks[0]

    def gathered(self, count: int) -> "FeatureSet":
        """On the first process what all processes saw of `count` pictures; see `stylegen.distributed`."""
        moments = None if self.moments is None else gather_moments(self.moments)
        return FeatureSet.of(moments, None if self._chunks is None else distributed.gather_rows(self.features, count))

    def to_arrays(self) -> Arrays:
        """What is known, for a file."""
        arrays: Arrays = {}
        if self.moments is not None:
            arrays |= self.moments.to_arrays()
        if self._chunks is not None:
            arrays["features"] = self.features.numpy()
        return arrays

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `to_arrays` gave."""
        if self.moments is not None:
            self.moments = Moments.from_arrays(arrays)
        if self._chunks is not None:
            self._chunks = [torch.from_numpy(arrays["features"])]


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Args:
        extractor: name of the feature extractor, or of the distance between pictures for a `walk`.
        kind: what of the features it needs.
        keys: names of the numbers it returns, each with "lower" or "higher" is better; None for a spread.
        compute: fakes, reals, extractor, options -> the numbers by name.
        min_fakes, min_reals: fewest pictures, given the options; 0 reals: it does not look at them.
        size_option: the option that sets these minima, offered when there are too few.
        exact_fakes: the number of fakes that its name promises; another number would be another metric.
        first_reals: the reals are the first so many (`real_sets.FirstReals`); None for all.
        ddof: of a Frechet distance, whose covariances are divided by N - ddof.
        walk: for a path length, the paths along which a generator is measured.
        calibrated: its references (`stylegen.metrics.engine.calibration`) stand beside it.
    """

    extractor: str
    kind: Kind
    keys: Mapping[str, str | None]
    compute: Compute
    min_fakes: Callable[[MetricOptions], int]
    min_reals: Callable[[MetricOptions], int]
    size_option: str | None = None
    exact_fakes: int | None = None
    first_reals: int | None = None
    ddof: int | None = None
    walk: Walk | None = None
    calibrated: bool = True

    @property
    def uses_reals(self) -> bool:
        return self.min_reals(DEFAULT_OPTIONS) > 0
