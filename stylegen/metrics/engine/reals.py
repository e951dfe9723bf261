"""Features of the real images: all images of the dataset, unmirrored, extracted once and cached on disk."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from stylegen import distributed, randomness
from stylegen.errors import UserError
from stylegen.features import FeatureExtractor
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache
from stylegen.metrics.formulas.feature_set import Arrays, FeatureSet, Kind, gather_moments
from stylegen.metrics.formulas.frechet import Moments
from stylegen.metrics.protocol.evaluation_settings import PROTOCOL_VERSION
from stylegen.spec import ImageSpec

Progress = Callable[[str, int, int], None]  # stage, images done, images in total
SEED = 0  # of the split into halves, and of the calibration
MAX_PAIRED = 10_000
"""Largest number of images for which the calibration compares all pairs."""


class RealImages(Protocol):
    """The interface of a dataset for metrics.

    Attributes:
        spec: resolution and channels.
        name: the dataset, in the metric card.
        fingerprint: hash of the pixels.
        num_images: without mirror images.
    """

    @property
    def spec(self) -> ImageSpec: ...

    @property
    def name(self) -> str: ...

    @property
    def num_images(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        """Images 0 to num_images - 1 by index: uint8 [N, C, H, W] and labels."""
        ...


@dataclass(frozen=True)
class Extraction:
    """Extracts features from images.

    Args:
        extractor: the network; for a path length, a distance between two images.
        batch_size: images per batch; affects rounding only.
        progress: called after every batch.
    """

    extractor: Any  # FeatureExtractor, or PairDistance
    batch_size: int
    progress: Progress | None = None

    def features(self, images: Tensor) -> Tensor:
        """uint8 NCHW -> float32 [N, dim] on the CPU.

        Raises:
            UserError: features that are not finite.
        """
        return self.checked(torch.cat([self.extractor(part).cpu() for part in images.split(self.batch_size)]))

    def checked(self, features: Tensor) -> Tensor:
        """Returns the features; raises UserError if any is not finite."""
        if not bool(torch.isfinite(features).all()):
            raise UserError(
                f"the {self.extractor.name} features of some images are not finite",
                rule="metrics need finite features, which intact weights give for all uint8 images",
                fix="Download the extractor's weights again",
            )
        return features

    def report(self, stage: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(f"{stage} ({self.extractor.name})", done, total)


@dataclass
class RealStatistics:
    """Statistics of the real images in the features of one extractor.

    Attributes:
        halves: moments of the two halves of a seeded split.
        features: float32 [num_images, dim] in the dataset's order.
    """

    halves: tuple[Moments, Moments] | None = None
    features: Tensor | None = None

    def feature_set(self) -> FeatureSet:
        """All real images, as input of a metric."""
        whole = None
        if self.halves is not None:
            whole = Moments(len(self.halves[0].mean))
            for half in self.halves:
                whole.merge(half)
        return FeatureSet.of(whole, self.features)


def cache_key(reals: RealImages, extractor: FeatureExtractor, seed: int, kind: str) -> Key:
    """Everything that affects the statistics of real images."""
    return {
        "kind": kind,
        "protocol": PROTOCOL_VERSION,
        "extractor": extractor.name,
        "weights": extractor.weights_id,
        "fingerprint": reals.fingerprint,
        "resolution": reals.spec.resolution,
        "channels": reals.spec.channels,
        "num_images": reals.num_images,
        "seed": seed,
    }


def real_statistics(
    reals: RealImages, extraction: Extraction, kinds: Collection[Kind], seed: int, cache: StatisticsCache
) -> RealStatistics:
    """Moments and features of all real images, from the cache or from one pass over the dataset.

    Ranks share the pass. Rank 0 reads and writes the cache; only its result is complete.

    Args:
        kinds: "moments", "features", or both.
        seed: seed of the order that defines the halves.
    """
    keys = {kind: cache_key(reals, extraction.extractor, seed, kind) for kind in kinds}
    found = {kind: cache.load(key) if distributed.is_rank0() else None for kind, key in keys.items()}
    missing = distributed.broadcast_from_rank0(lambda: [kind for kind in kinds if found[kind] is None])
    if missing:
        fresh = _to_arrays(_describe(reals, extraction, missing, seed))
        if distributed.is_rank0():
            for kind in missing:
                found[kind] = fresh[kind]
                cache.store(keys[kind], fresh[kind])
    return _from_arrays(found)


def halves_of(num_images: int, seed: int) -> Tensor:
    """bool [num_images]: mask of the first half of a seeded split."""
    order = randomness.permutation(num_images, seed, "metrics/halves")
    in_first = torch.zeros(num_images, dtype=torch.bool)
    in_first[order[: (num_images + 1) // 2]] = True
    return in_first


def each_batch(reals: RealImages, extraction: Extraction, what: str) -> Iterator[Tensor]:
    """Batches of this rank's image indices in order, int64; reports progress after each batch."""
    numbers = torch.tensor(distributed.share(reals.num_images))
    for batch in numbers.split(extraction.batch_size) if len(numbers) else ():
        yield batch
        extraction.report(what, int(batch[-1]) + 1, reals.num_images)


def _describe(reals: RealImages, extraction: Extraction, kinds: Collection[Kind], seed: int) -> RealStatistics:
    in_first = halves_of(reals.num_images, seed)
    dim = extraction.extractor.dim
    halves = Moments(dim), Moments(dim)
    rows = FeatureSet(dim, ["features"] if "features" in kinds else [])

    def work() -> None:
        for numbers in each_batch(reals, extraction, "real images"):
            features = extraction.features(reals.batch(numbers)[0])
            if "moments" in kinds:
                halves[0].update(features[in_first[numbers]])
                halves[1].update(features[~in_first[numbers]])
            rows.update(features)

    distributed.run_on_all_ranks(work)
    first, second = (gather_moments(half) for half in halves)
    features = distributed.gather_rows(rows.features, reals.num_images) if "features" in kinds else None
    return RealStatistics((first, second) if "moments" in kinds else None, features)


def _to_arrays(statistics: RealStatistics) -> dict[Kind, Arrays]:
    arrays: dict[Kind, Arrays] = {}
    if statistics.halves is not None:
        first, second = statistics.halves
        arrays["moments"] = first.to_arrays("_0") | second.to_arrays("_1")
    if statistics.features is not None:
        arrays["features"] = {"features": statistics.features.numpy()}
    return arrays


def _from_arrays(found: Mapping[Kind, Arrays | None]) -> RealStatistics:
    statistics = RealStatistics()
    if moments := found.get("moments"):
        statistics.halves = Moments.from_arrays(moments, "_0"), Moments.from_arrays(moments, "_1")
    if features := found.get("features"):
        statistics.features = torch.from_numpy(features["features"])
    return statistics
