"""One pass over the fakes, through every extractor that the metrics ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from stylegen import distributed
from stylegen.errors import UserError
from stylegen.features import DISTANCES
from stylegen.metrics.engine.calibration import MAX_PICTURES
from stylegen.metrics.engine.continuation import Continuation
from stylegen.metrics.engine.fakes import NumberedPictures, WalkablePictures
from stylegen.metrics.engine.real_sets import FirstReals, PublishedReals, mirrors
from stylegen.metrics.engine.reals import Extraction, RealImages, RealStatistics, real_statistics
from stylegen.metrics.engine.statistics_cache import StatisticsCache
from stylegen.metrics.protocol.metric import FeatureSet, Kind
from stylegen.metrics.protocol.registry import METRICS


@dataclass
class View:
    """Metrics that share an extractor and a set of reals, and what is known of either side.

    Attributes:
        source: the reals of these metrics.
    """

    ids: Sequence[str]
    way: Extraction
    source: RealImages
    known: RealStatistics
    reals: FeatureSet
    drawn: FeatureSet

    @classmethod
    def of(
        cls,
        ids: Sequence[str],
        way: Extraction,
        reals: RealImages,
        calibrate: bool,
        seed: int,
        store: StatisticsCache,
    ) -> Self:
        """With the reals described, and no fakes seen."""
        first = METRICS[ids[0]].first_reals
        if first is not None:
            reals = FirstReals(reals, first, mirrors(reals))
        wanted = {METRICS[i].kind for i in ids if METRICS[i].uses_reals or (calibrate and METRICS[i].calibrated)}
        if calibrate and "moments" in wanted and reals.num_images <= MAX_PICTURES:
            wanted.add("features")  # of which the calibration takes subsets
        known = RealStatistics()
        if not isinstance(reals, PublishedReals):
            known = real_statistics(reals, way, sorted(wanted), seed, store)
        else:
            reals.check_extractor(way.extractor.name, way.extractor.weights_id, way.extractor.dim)
        whole = FeatureSet.of(reals.moments(), None) if isinstance(reals, PublishedReals) else known.feature_set()
        return cls(ids, way, reals, known, whole, FeatureSet(way.extractor.dim, _kinds(ids)))

    @property
    def published(self) -> bool:
        """Whether the extractor's weights, if it has a file of them, are those that its authors publish."""
        return bool(self.way.extractor.recipe.get("weights_published", True))

    def recipe(self) -> dict[str, object]:
        return {"weights_id": self.way.extractor.weights_id, **self.way.extractor.recipe}


def draw(
    fakes: NumberedPictures, num_fakes: int, reals: RealImages, views: Sequence[View], state: Continuation
) -> None:
    """One pass over this process's fakes, every batch through all extractors; then the paths of each walk."""
    looks = [view for view in views if view.way.extractor.name not in DISTANCES]
    numbers = distributed.share(num_fakes)

    def pictures() -> None:
        for batch in fakes.batches(numbers[state.done :]) if looks else ():
            _check_pictures(batch, reals)
            features: dict[str, Tensor] = {}
            for view in looks:
                name = view.way.extractor.name
                if name not in features:
                    features[name] = view.way.features(batch)
                view.drawn.update(features[name])
            state.add(len(batch))
            for view in looks:
                view.way.report("generated pictures", min(state.done * distributed.world_size(), num_fakes), num_fakes)
        if looks and state.done < len(numbers):
            raise UserError(
                f"{state.done} generated pictures",
                rule=f"num_samples={num_fakes} are to be measured",
                fix=f"Give more pictures, or num_samples={state.done}",
            )
        for view in views:
            if view not in looks:
                _walk(fakes, numbers, view, num_fakes, state)

    distributed.together(pictures)


def _walk(fakes: NumberedPictures, numbers: list[int], view: View, num_fakes: int, state: Continuation) -> None:
    """A row for each path that is not known yet."""
    assert isinstance(fakes, WalkablePictures)
    (metric_id,) = view.ids
    walk, done = METRICS[metric_id].walk, len(view.drawn.features)
    assert walk is not None
    for part in fakes.path_distances(walk, numbers[done:], view.way.extractor):
        view.drawn.update(view.way.checked(part))
        done += len(part)
        state.add(0)
        view.way.report(f"paths of {metric_id}", min(done * distributed.world_size(), num_fakes), num_fakes)


def _kinds(group: Sequence[str]) -> list[Kind]:
    """What these metrics want to know of the fakes."""
    return sorted({METRICS[i].kind for i in group})


def _check_pictures(images: Tensor, reals: RealImages) -> None:
    channels, height, width = images.shape[1:]
    side = reals.spec.resolution
    if (channels, height, width) != (reals.spec.channels, side, side):
        raise UserError(
            f"pictures of {width}x{height} with {channels} channels",
            rule=f"{reals.name} has {side}x{side} with {reals.spec.channels}; sets that differ cannot be compared",
            fix="Measure against a dataset of the same resolution and channels",
        )
