"""A metric: a formula, a feature extractor, and the names of its numbers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stylegen.metrics.formulas.equivariance import Motion
from stylegen.metrics.formulas.feature_set import FeatureSet, Kind
from stylegen.metrics.formulas.linear_separability import Separability
from stylegen.metrics.formulas.perceptual_path_length import Walk
from stylegen.metrics.protocol.evaluation_settings import MetricOptions, Protocol

Size = Callable[[MetricOptions], int]


@dataclass(frozen=True)
class Formula:
    """Computes numbers from features.

    Args:
        compute: returns a number, a tuple with one for each of `numbers`, or `Separability` with these.
        takes: the positional arguments: "moments" or "features" of fakes and reals, "logits" or "distances" of the
            fakes only, or "latents": features of both, attributes of the reals, and latents of the fakes.
        numbers: name of each number, with "lower" or "higher" for the better direction and None for neither.
            "" is the metric's own name.
        min_fakes, min_reals: smallest number of images, given the options.
        options: keyword argument of `compute` -> field of `MetricOptions`.
        size_option: the option to lower if there are too few images.
    """

    compute: Callable[..., float | tuple[float, ...] | Separability]
    takes: Literal["moments", "features", "logits", "distances", "latents"]
    numbers: Mapping[str, str | None]
    min_fakes: Size = lambda options: 1
    min_reals: Size = lambda options: 0
    options: Mapping[str, str] = field(default_factory=dict)
    size_option: str | None = None


@dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Args:
        id: names the metric; also the prefix of its numbers' names, unless `prefix` is given.
        extractor: name of the feature extractor, or of the distance between images for a path length.
        formula: computes the numbers from features.
        arguments: further keyword arguments of the formula.
        exact_fakes: the number of fakes in the id's definition; None for any number.
        first_reals: use this many reals, from the first (`real_sets.FirstReals`); None for all.
        walk: the paths of a path length.
        motion: motion of the images whose equivariance is measured.
        prefix: start of the numbers' names.
    """

    id: str
    extractor: str
    formula: Formula
    arguments: Mapping[str, Any] = field(default_factory=dict)
    exact_fakes: int | None = None
    first_reals: int | None = None
    walk: Walk | None = None
    motion: Motion | None = None
    prefix: str | None = None

    @property
    def kind(self) -> Kind:
        """The statistics of the features that the formula needs."""
        return "moments" if self.formula.takes == "moments" else "features"

    @property
    def uses_reals(self) -> bool:
        return self.formula.takes in ("moments", "features", "latents")

    @property
    def uses_latents(self) -> bool:
        """Whether the formula needs the latents of the fakes and the labels of the reals."""
        return self.formula.takes == "latents"

    @property
    def needs_generator(self) -> bool:
        """Whether the metric is a property of a generator, which images alone do not have."""
        return self.compares_pairs or self.uses_latents

    @property
    def compares_pairs(self) -> bool:
        """Whether the metric generates its own pairs of images, without truncation and with its own noise."""
        return self.walk is not None or self.motion is not None

    @property
    def calibrated(self) -> bool:
        """Whether references (`engine.calibration`) are reported."""
        return not self.needs_generator

    @property
    def keys(self) -> dict[str, str | None]:
        """The numbers' names, without suffix -> better direction."""
        prefix = self.id if self.prefix is None else self.prefix
        return {"_".join(filter(None, (prefix, name))): better for name, better in self.formula.numbers.items()}

    def names(
        self,
        protocol: Protocol,
        *,
        generated: bool = True,
        conditional: bool = True,
        published_weights: bool = True,
        reals_suffix: str = "",
    ) -> dict[str, str]:
        """Key -> name on the card. The suffix names all departures that change the number; no other code adds one.

        Args:
            generated: the fakes come from a generator.
            conditional: the generator takes labels.
            published_weights: the extractor has its authors' weights.
            reals_suffix: `suffix` of the reals (`engine.real_sets`): their resolution, or foreign statistics.
        """
        suffix = protocol.suffix(
            generated, pairs=self.compares_pairs, against_reals=self.uses_reals, conditional=conditional
        )
        weights = "" if published_weights else "_unpublished-weights"
        return {key: f"{key}{suffix}{weights}{reals_suffix}" for key in self.keys}

    def compute(self, fakes: FeatureSet, reals: FeatureSet, extractor: Any, options: MetricOptions) -> dict[str, float]:
        """The numbers by key."""
        return self.compute_with_attributes(fakes, reals, extractor, options)[0]

    def compute_with_attributes(
        self, fakes: FeatureSet, reals: FeatureSet, extractor: Any, options: MetricOptions
    ) -> tuple[dict[str, float], list[dict[str, float]]]:
        """The numbers by key, and the numbers of each attribute, if the formula has attributes."""
        chosen = {argument: getattr(options, name) for argument, name in self.formula.options.items()}
        values = self.formula.compute(*self._inputs(fakes, reals, extractor), **self.arguments, **chosen)
        attributes = values.attributes if isinstance(values, Separability) else []
        if isinstance(values, Separability):
            values = values.values
        return dict(zip(self.keys, values if isinstance(values, tuple) else (values,), strict=True)), attributes

    def _inputs(self, fakes: FeatureSet, reals: FeatureSet, extractor: Any) -> tuple[Any, ...]:
        match self.formula.takes:
            case "moments":
                return fakes.moments, reals.moments
            case "features":
                return fakes.features, reals.features
            case "logits":
                return (extractor.logits(fakes.features).cpu(),)
            case "distances":
                return (fakes.features,)
            case "latents":
                return fakes.features, reals.features, reals.attributes, fakes.latents
