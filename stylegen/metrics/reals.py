"""The real side of a metric: all pictures of the dataset, unmirrored, described once and kept on disk."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.features import FeatureExtractor
from stylegen.metrics.cache import Key, StatisticsCache
from stylegen.metrics.frechet import Moments
from stylegen.metrics.metric import FeatureSet, Kind
from stylegen.spec import ImageSpec

PROTOCOL_VERSION = 1  # of everything between the pictures and the statistics; part of every cache key

Progress = Callable[[str, int, int], None]  # what is being done, pictures done, pictures in all


class RealImages(Protocol):
    """What metrics ask of a dataset.

    Attributes:
        spec: resolution and channels.
        name: for the metric card.
        fingerprint: hash of the content; changes when one pixel does.
        num_images: pictures, mirror images not counted.
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
        """Pictures 0 to num_images - 1 by number: uint8 [N, C, H, W] and labels."""
        ...


@dataclass(frozen=True)
class Extraction:
    """How pictures become features.

    Args:
        extractor: the network.
        batch_size: pictures at once; moves the numbers by rounding only.
        progress: told after every batch.
    """

    extractor: FeatureExtractor
    batch_size: int
    progress: Progress | None = None

    def features(self, images: Tensor) -> Tensor:
        """uint8 NCHW -> float32 [N, dim] on the CPU.

        Raises:
            UserError: features that are not finite.
        """
        parts = [self.extractor(part).cpu() for part in images.split(self.batch_size)]
        features = torch.cat(parts)
        if not bool(torch.isfinite(features).all()):
            raise UserError(
                f"the {self.extractor.name} features of some pictures are not finite",
                rule="a score needs finite features, and uint8 pictures always have them with sound weights",
                fix="Fetch the extractor's weights again",
            )
        return features

    def report(self, stage: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(f"{stage} ({self.extractor.name})", done, total)


@dataclass
class RealStatistics:
    """What is known about the real pictures through one extractor.

    Attributes:
        halves: moments of two disjoint halves in a keyed order; together they are the whole.
        features: float32 [num_images, dim] in the dataset's order.
    """

    halves: tuple[Moments, Moments] | None = None
    features: Tensor | None = None

    def feature_set(self) -> FeatureSet:
        """The whole, as metrics take it."""
        whole = None
        if self.halves is not None:
            whole = Moments(len(self.halves[0].mean))
            for half in self.halves:
                whole.merge(half)
        return FeatureSet.of(whole, self.features)


def cache_key(reals: RealImages, extractor: FeatureExtractor, seed: int, kind: str) -> Key:
    """Everything on which statistics of real pictures depend."""
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
    """Moments and features of all real pictures, from the cache or in one pass over the dataset.

    Args:
        kinds: which of the two are wanted.
        seed: of the order that makes the halves.
    """
    keys = {kind: cache_key(reals, extraction.extractor, seed, kind) for kind in kinds}
    found = {kind: cache.load(key) for kind, key in keys.items()}
    missing = [kind for kind in kinds if found[kind] is None]
    if missing:
        fresh = _to_arrays(_describe(reals, extraction, missing, seed))
        for kind in missing:
            found[kind] = fresh[kind]
            cache.store(keys[kind], fresh[kind])
    return _from_arrays(found)


def each_batch(reals: RealImages, batch_size: int) -> list[Tensor]:
    """The numbers of all pictures in order, int64, `batch_size` at once."""
    return list(torch.arange(reals.num_images).split(batch_size))


def _describe(reals: RealImages, extraction: Extraction, kinds: Collection[Kind], seed: int) -> RealStatistics:
    order = randomness.permutation(reals.num_images, seed, "metrics/halves")
    in_first = torch.zeros(reals.num_images, dtype=torch.bool)
    in_first[order[: (reals.num_images + 1) // 2]] = True
    dim = extraction.extractor.dim
    halves, chunks = (Moments(dim), Moments(dim)), []
    for numbers in each_batch(reals, extraction.batch_size):
        features = extraction.features(reals.batch(numbers)[0])
        if "moments" in kinds:
            halves[0].update(features[in_first[numbers]])
            halves[1].update(features[~in_first[numbers]])
        if "features" in kinds:
            chunks.append(features)
        extraction.report("real pictures", int(numbers[-1]) + 1, reals.num_images)
    return RealStatistics(halves if "moments" in kinds else None, torch.cat(chunks) if "features" in kinds else None)


def _to_arrays(statistics: RealStatistics) -> dict[Kind, dict[str, np.ndarray]]:
    arrays: dict[Kind, dict[str, np.ndarray]] = {}
    if statistics.halves is not None:
        arrays["moments"] = {
            f"{name}_{i}": np.asarray(value)
            for i, half in enumerate(statistics.halves)
            for name, value in (("count", half.count), ("mean", half.mean), ("scatter", half.scatter))
        }
    if statistics.features is not None:
        arrays["features"] = {"features": statistics.features.numpy()}
    return arrays


def _from_arrays(found: dict[Kind, dict[str, np.ndarray] | None]) -> RealStatistics:
    statistics = RealStatistics()
    if moments := found.get("moments"):
        first, second = (
            Moments.of(
                int(moments[f"count_{i}"]),
                torch.from_numpy(moments[f"mean_{i}"]),
                torch.from_numpy(moments[f"scatter_{i}"]),
            )
            for i in range(2)
        )
        statistics.halves = first, second
    if features := found.get("features"):
        statistics.features = torch.from_numpy(features["features"])
    return statistics
