"""Groups of metrics that share an extractor and a set of reals; all groups share one pass over the fakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from stylegen import distributed
from stylegen.errors import UserError
from stylegen.features import DISTANCES
from stylegen.metrics.engine.continuation import Continuation
from stylegen.metrics.engine.fakes import NumberedImages, WalkableImages
from stylegen.metrics.engine.real_sets import FirstReals, PublishedReals, attributes_of, mirrors
from stylegen.metrics.engine.reals import MAX_PAIRED, SEED, Extraction, RealImages, RealStatistics, real_statistics
from stylegen.metrics.engine.statistics_cache import StatisticsCache
from stylegen.metrics.formulas.feature_set import FeatureSet
from stylegen.metrics.protocol.metric import Metric
from stylegen.metrics.protocol.registry import METRICS


@dataclass(eq=False)
class MetricGroup:
    """Metrics with one extractor and one set of reals, and the features of both sides.

    Attributes:
        source: the reals of these metrics.
        statistics: feature statistics of `source`; `reals` holds them as input of the metrics.
        fakes: the accumulated features of the images.
    """

    metrics: Sequence[Metric]
    extraction: Extraction
    source: RealImages
    statistics: RealStatistics
    reals: FeatureSet
    fakes: FeatureSet

    @classmethod
    def of(
        cls,
        metrics: Sequence[Metric],
        extraction: Extraction,
        reals: RealImages,
        *,
        calibrate: bool,
        cache: StatisticsCache,
    ) -> Self:
        """Extract the features of the reals, or read them from the cache."""
        extractor, first = extraction.extractor, metrics[0].first_reals
        if first is not None:
            reals = FirstReals(reals, first, mirrors(reals))
        fakes = FeatureSet(extractor.dim, {m.kind for m in metrics})
        if isinstance(reals, PublishedReals):
            reals.check_extractor(extractor.name, extractor.weights_id, extractor.dim)
            return cls(metrics, extraction, reals, RealStatistics(), FeatureSet.of(reals.moments(), None), fakes)
        kinds = {m.kind for m in metrics if m.uses_reals or (calibrate and m.calibrated)}
        if calibrate and "moments" in kinds and reals.num_images <= MAX_PAIRED:
            kinds.add("features")  # the calibration uses subsets
        statistics = real_statistics(reals, extraction, sorted(kinds), SEED, cache)
        known = statistics.feature_set()
        if any(m.uses_latents for m in metrics):
            known.attributes = attributes_of(reals)
        return cls(metrics, extraction, reals, statistics, known, fakes)

    def gather(self, images: NumberedImages, count: int) -> None:
        """The features of all ranks on rank 0, with the latents of the images if a metric needs them."""
        self.fakes = self.fakes.gathered(count)
        if any(m.uses_latents for m in self.metrics):
            assert isinstance(images, WalkableImages)
            latents = images.latents(distributed.share(count))
            self.fakes.latents = {space: distributed.gather_rows(rows, count) for space, rows in latents.items()}


def by_extractor(ids: Sequence[str]) -> dict[str, list[str]]:
    """Extractor -> ids of its metrics, without repetition."""
    groups: dict[str, list[str]] = {}
    for metric_id in dict.fromkeys(ids):
        groups.setdefault(METRICS[metric_id].extractor, []).append(metric_id)
    return groups


def groups_of(ids: Sequence[str]) -> list[list[Metric]]:
    """Metrics that share an extractor, fakes and reals; each path length and equivariance has its own pairs."""
    groups: dict[object, list[Metric]] = {}
    for name, members in by_extractor(ids).items():
        for metric in (METRICS[i] for i in members):
            shared = metric.id if name in DISTANCES else metric.first_reals
            groups.setdefault((name, shared), []).append(metric)
    return list(groups.values())


def extract_fakes(
    images: NumberedImages, count: int, reals: RealImages, groups: Sequence[MetricGroup], state: Continuation
) -> None:
    """One pass over this rank's images, with all extractors for each batch; then the pairs of each other metric."""
    extracted = [group for group in groups if group.extraction.extractor.name not in DISTANCES]
    numbers = distributed.share(count)

    def work() -> None:
        for batch in images.batches(numbers[state.done :]) if extracted else ():
            _check_shape(batch, reals)
            features: dict[str, Tensor] = {}
            for group in extracted:
                name = group.extraction.extractor.name
                if name not in features:
                    features[name] = group.extraction.features(batch)
                group.fakes.update(features[name])
            state.add(len(batch))
            for group in extracted:
                group.extraction.report("generated images", min(state.done * distributed.world_size(), count), count)
        if extracted and state.done < len(numbers):
            raise UserError(
                f"{state.done} generated images",
                rule=f"the evaluation needs num_samples={count}",
                fix=f"Use more images, or num_samples={state.done}",
            )
        for group in groups:
            if group not in extracted:
                _measure_pairs(images, numbers, group, count, state)

    distributed.run_on_all_ranks(work)


def _measure_pairs(
    images: NumberedImages, numbers: list[int], group: MetricGroup, count: int, state: Continuation
) -> None:
    """Measure the remaining pairs of a path length or an equivariance."""
    assert isinstance(images, WalkableImages)
    (metric,) = group.metrics
    done, distance = len(group.fakes.features), group.extraction.extractor
    if metric.motion is not None:
        parts = images.motion_errors(metric.motion, numbers[done:], distance)
    else:
        assert metric.walk is not None
        parts = images.path_distances(metric.walk, numbers[done:], distance)
    for part in parts:
        group.fakes.update(group.extraction.checked(part))
        done += len(part)
        state.add(0)
        group.extraction.report(f"pairs of {metric.id}", min(done * distributed.world_size(), count), count)


def _check_shape(images: Tensor, reals: RealImages) -> None:
    channels, height, width = images.shape[1:]
    side = reals.spec.resolution
    if (channels, height, width) != (reals.spec.channels, side, side):
        raise UserError(
            f"images of {width}x{height} with {channels} channels",
            rule=f"{reals.name} has {side}x{side} with {reals.spec.channels}; sets that differ cannot be compared",
            fix="Use a dataset of the same resolution and number of channels",
        )
