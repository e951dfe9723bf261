"""What a score means: the same score for three sets of pictures whose quality everybody can picture.

A Frechet distance has no unit, and which recall is good depends on the data. Beside a score stand those of other real
pictures (nothing can be expected to do better with so many pictures), of the reals blurred by averaging 2x2 pixels
(everything right but the finest detail), and of one real picture repeated (perfect pictures, no variety). Which of
the last two is larger depends on how sharp the pictures are, and on which one is repeated.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.metrics import ranks
from stylegen.metrics.cache import Key, StatisticsCache
from stylegen.metrics.frechet import Moments
from stylegen.metrics.metric import Arrays, FeatureSet, Kind, Metric, MetricOptions
from stylegen.metrics.reals import Extraction, RealImages, RealStatistics, cache_key, each_batch, halves_of

REFERENCES = {
    "real_vs_real": "one half of the reals (keyed order) against the other half",
    "averaged_2x2": "the reals averaged over 2x2 pixels, rounded, each mean repeated 2x2, against all reals",
    "one_picture_repeated": "one real picture (keyed choice), repeated, against all reals",
}


MAX_PICTURES = 10_000
"""Pictures on either side where a metric compares every pair: enough for a reference, and bounded in time."""


def references(
    ids: Sequence[str],
    table: Mapping[str, Metric],
    reals: RealImages,
    extraction: Extraction,
    statistics: RealStatistics,
    options: MetricOptions,
    seed: int,
    cache: StatisticsCache,
) -> dict[str, dict[str, float]]:
    """For every number of these metrics its values for the sets of `REFERENCES`, from the cache or computed.

    The halves have half as many pictures as the sets of the other scores, and a Frechet distance falls with
    the number of pictures (its bias is positive), so the floor is a little high rather than too low. It is left
    out where the halves are fewer than a metric needs. On the first process; empty on the others.

    Args:
        ids: calibrated metrics of one extractor; `table` says what they are.
        statistics: of these reals by this extractor, with their halves.
        seed: of the keyed choices.
    """
    keys = {i: _key(table[i], i, reals, extraction, options, seed) for i in ids}
    found = {i: cache.load(key) if ranks.is_first() else None for i, key in keys.items()}
    missing = ranks.from_first(lambda: [i for i in ids if found[i] is None])
    if missing:
        kinds = {table[i].kind for i in missing}
        sets = _sets(reals, extraction, statistics, kinds, seed)
        for i in missing if ranks.is_first() else ():
            found[i] = _values(table[i], sets, extraction, options)
            cache.store(keys[i], found[i] or {})
    result: dict[str, dict[str, float]] = {}
    for arrays in found.values():
        for name, value in (arrays or {}).items():
            key, _, what = name.partition("/")
            result.setdefault(key, {})[what] = float(value)
    return result


def _key(
    metric: Metric, metric_id: str, reals: RealImages, extraction: Extraction, options: MetricOptions, seed: int
) -> Key:
    key = cache_key(reals, extraction.extractor, seed, f"references-{metric_id}")
    return key if metric.kind == "moments" else {**key, "options": json.dumps(asdict(options), sort_keys=True)}


def _values(
    metric: Metric, sets: dict[str, tuple[FeatureSet, FeatureSet]], extraction: Extraction, options: MetricOptions
) -> Arrays:
    """`<key>/<what>` -> value, for keys that are no spread."""
    values: Arrays = {}
    for what, (fakes, others) in sets.items():
        if metric.kind == "features":
            few = len(fakes.features) < metric.min_fakes(options) or len(others.features) < metric.min_reals(options)
            if few:
                continue
        for key, value in metric.compute(fakes, others, extraction.extractor, options).items():
            if not key.endswith("_std"):
                values[f"{key}/{what}"] = np.asarray(value)
    return values


def _sets(
    reals: RealImages, extraction: Extraction, statistics: RealStatistics, kinds: set[Kind], seed: int
) -> dict[str, tuple[FeatureSet, FeatureSet]]:
    """For each of `REFERENCES` the pictures that are scored, and those that they are scored against."""
    averaged = _averaged(reals, extraction, kinds)
    chosen = chosen_picture(reals.num_images, seed)
    one = extraction.features(reals.batch(torch.tensor([chosen]))[0])
    if not ranks.is_first():
        return {}
    whole = statistics.feature_set()
    features = statistics.features
    halves = statistics.halves or (None, None)
    parts: list[Tensor | None] = [None, None]
    if features is not None and "features" in kinds:
        one = features[chosen : chosen + 1]  # in another batch its last digits differ: it must be its own neighbour
        in_first = halves_of(reals.num_images, seed)
        parts = [features[in_first][:MAX_PICTURES], features[~in_first][:MAX_PICTURES]]
        whole = FeatureSet.of(whole.moments, features[:MAX_PICTURES])
        averaged = FeatureSet.of(averaged.moments, averaged.features[:MAX_PICTURES])
    repeated = one.expand(min(reals.num_images, MAX_PICTURES), -1).contiguous()
    # A picture repeated has its features as mean, and no spread: one pass through the network says it all.
    mean = one[0].double()
    point = Moments.of(reals.num_images, mean, torch.zeros(len(mean), len(mean), dtype=torch.float64))
    return {
        "real_vs_real": (FeatureSet.of(halves[0], parts[0]), FeatureSet.of(halves[1], parts[1])),
        "averaged_2x2": (averaged, whole),
        "one_picture_repeated": (FeatureSet.of(point, repeated), whole),
    }


def _averaged(reals: RealImages, extraction: Extraction, kinds: set[Kind]) -> FeatureSet:
    found = FeatureSet(extraction.extractor.dim, kinds)

    def work() -> None:
        for numbers in each_batch(reals, extraction, "reals averaged over 2x2"):
            found.update(extraction.features(average_2x2(reals.batch(numbers)[0])))

    ranks.together(work)
    return found.gathered(reals.num_images)


def average_2x2(images: Tensor) -> Tensor:
    """uint8 NCHW with even sides: means of 2x2 pixels, halves rounded up, repeated to the old size."""
    means = functional.avg_pool2d(images.float(), 2)
    small = (means + 0.5).floor().to(torch.uint8)
    return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def chosen_picture(num_images: int, seed: int) -> int:
    """Number of the picture that is repeated."""
    return int(randomness.integers(num_images, seed, "metrics/one_picture", torch.tensor([0])))
