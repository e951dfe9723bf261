"""What a metric's value means: the values of the same metric for sets of known quality.

A Frechet distance has no unit, and its bias depends on the number of images. Beside a value are those of other reals,
of a perfect generator, of the reals averaged over 2x2 pixels (only fine detail is lost), and of one real image
repeated (no variety at all).

Real against real is N/2 images against N/2, and no lower bound: a perfect generator, whose images are fresh samples of
the data's distribution, scores less with more of them. For equal distributions the Frechet distance of m images to n is
bias alone, to second order in x = 1/m + 1/n

    FD(x) = a x + b x^2.

a and b are fitted to disjoint subsets of N/2, N/4 and N/8 reals, and evaluated at x = 1/num_samples + 1/N. This is the
extrapolation in 1/N of Chong and Forsyth 2020 (arXiv 1911.07023, section 3), with the limit known to be 0. Checked on
Gaussians with the covariance of 894 portraits in the features of EfficientNet-Lite0: 5,000 samples score 11.6, the fit
says 11.9, a line with free intercept 19.7, and N/2 against N/2 is 39.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stylegen import distributed, randomness
from stylegen.metrics.engine.reals import Extraction, RealImages, RealStatistics, cache_key, each_batch, halves_of
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache
from stylegen.metrics.formulas.frechet import Moments
from stylegen.metrics.protocol.metric import Arrays, FeatureSet, Kind, Metric, MetricOptions

NUM_CANDIDATES = 49
REFERENCES = {
    "perfect_generator": "expected for fresh images of the reals' distribution: a x + b x^2, x = 1/num_samples + "
    "1/num_reals, fitted to real against real at 1/2, 1/4 and 1/8 of the reals",
    "real_vs_real": "one half of the reals (keyed order) against the other half: N/2 images on either side, no bound",
    "averaged_2x2": "the reals averaged over 2x2 pixels, rounded, each mean repeated 2x2, against all reals",
    "one_picture_repeated": f"one real image repeated, against all reals: of {NUM_CANDIDATES} (keyed choice) the "
    "median in distance from the mean of the features",
}
VERSION = 2  # of these definitions; part of the cache key

MAX_PICTURES = 10_000
"""Images on either side where a metric compares every pair: enough for a reference, and bounded in time. Of more reals
the fit has the halves alone, b = 0: with so many the second order plays no part."""
_FIT = "fit"  # a, b and the largest x that was measured, in a cache entry
_PAIRS = 2  # of subsets of a size, where there are so many


def references(
    ids: Sequence[str],
    table: Mapping[str, Metric],
    reals: RealImages,
    extraction: Extraction,
    statistics: RealStatistics,
    options: MetricOptions,
    seed: int,
    cache: StatisticsCache,
    num_fakes: int,
) -> dict[str, dict[str, float]]:
    """For every number of these metrics its values for the sets of `REFERENCES`, from the cache or computed.

    Left out: real against real where the halves are fewer than a metric needs; the perfect generator for metrics other
    than Frechet distances, and for an x beyond the fitted ones; both where the halves share images
    (`real_sets.FirstReals.repeats`). On rank 0; empty on the others.

    Args:
        ids: calibrated metrics of one extractor; `table` says what they are.
        statistics: of these reals by this extractor, with their halves.
        seed: of the keyed choices.
        num_fakes: images of the generator that is measured.
    """
    keys = {i: _key(table[i], i, reals, extraction, options, seed) for i in ids}
    found = {i: cache.load(key) if distributed.is_first() else None for i, key in keys.items()}
    missing = distributed.from_first(lambda: [i for i in ids if found[i] is None])
    if missing:
        kinds = {table[i].kind for i in missing}
        sets = _sets(reals, extraction, statistics, kinds, seed)
        for i in missing if distributed.is_first() else ():
            fit = _fit(table[i], statistics, reals, extraction, options, seed) if table[i].kind == "moments" else {}
            found[i] = fit | _values(table[i], sets, extraction, options)
            cache.store(keys[i], found[i] or {})
    result: dict[str, dict[str, float]] = {}
    shared = getattr(reals, "repeats", False)
    for arrays in found.values():
        for name, value in (arrays or {}).items():
            key, _, what = name.partition("/")
            if shared and what in ("real_vs_real", _FIT):
                continue
            if what != _FIT:
                result.setdefault(key, {})[what] = float(value)
            elif (expected := _expected(value, 1 / num_fakes + 1 / reals.num_images)) is not None:
                result.setdefault(key, {})["perfect_generator"] = expected
    return result


def _key(
    metric: Metric, metric_id: str, reals: RealImages, extraction: Extraction, options: MetricOptions, seed: int
) -> Key:
    key = {**cache_key(reals, extraction.extractor, seed, f"references-{metric_id}"), "references": VERSION}
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
    if not distributed.is_first():
        return {}
    one = _median_image(reals, extraction, statistics, seed)
    whole = statistics.feature_set()
    features = statistics.features
    halves = statistics.halves or (None, None)
    parts: list[Tensor | None] = [None, None]
    if features is not None and "features" in kinds:
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

    distributed.together(work)
    return found.gathered(reals.num_images)


def average_2x2(images: Tensor) -> Tensor:
    """uint8 NCHW with even sides: means of 2x2 pixels, halves rounded up, repeated to the old size."""
    means = functional.avg_pool2d(images.float(), 2)
    small = (means + 0.5).floor().to(torch.uint8)
    return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def _median_image(reals: RealImages, extraction: Extraction, statistics: RealStatistics, seed: int) -> Tensor:
    """Features [1, dim] of the candidate with the median distance from the mean of the reals.

    It has the median Frechet distance too: |f - mean|^2 + Tr(S) for an image repeated. On the portraits these are 7.7
    to 25 in the features of `random_vgg16`.
    """
    numbers = randomness.permutation(reals.num_images, seed, "metrics/one_picture")[:NUM_CANDIDATES]
    whole = statistics.feature_set()
    if statistics.features is not None:  # in another batch the last digits differ: it must be its own neighbour
        found, mean = statistics.features[numbers], statistics.features.double().mean(dim=0)
    else:
        assert whole.moments is not None
        found, mean = extraction.features(reals.batch(numbers)[0]), whole.moments.mean
    distances = (found.double() - mean).square().sum(dim=1)
    return found[distances.argsort()[len(distances) // 2]][None]


def _fit(
    metric: Metric,
    statistics: RealStatistics,
    reals: RealImages,
    extraction: Extraction,
    options: MetricOptions,
    seed: int,
) -> Arrays:
    """`<key>/fit` -> a, b and the largest x, by least squares of FD / x = a + b x."""
    count = reals.num_images
    assert statistics.halves is not None
    pairs = [statistics.halves]
    if statistics.features is not None and count <= MAX_PICTURES:
        order = randomness.permutation(count, seed, "metrics/halves")
        for size in (count // 4, count // 8):
            pairs += [(a, b) for a, b in _subsets(statistics.features[order], size)]
    (key,) = metric.keys
    x = np.array([1 / a.count + 1 / b.count for a, b in pairs])
    sets = [(FeatureSet.of(a, None), FeatureSet.of(b, None)) for a, b in pairs]
    values = np.array([metric.compute(a, b, extraction.extractor, options)[key] for a, b in sets])
    terms = np.stack([np.ones_like(x), x], axis=1)[:, : min(2, len(set(x)))]
    solution = np.linalg.lstsq(terms, values / x, rcond=None)[0]
    return {f"{key}/{_FIT}": np.array([*solution, *[0.0] * (2 - len(solution)), x.max()])}


def _subsets(features: Tensor, size: int) -> Iterator[tuple[Moments, Moments]]:
    """Moments of disjoint subsets, two at a time."""
    for pair in range(_PAIRS if size > 1 else 0):
        both = Moments(features.shape[1]), Moments(features.shape[1])
        for side, moments in enumerate(both):
            moments.update(features[(2 * pair + side) * size :][:size])
        yield both


def _expected(fit: np.ndarray, x: float) -> float | None:
    """a x + b x^2; None beyond the measured x."""
    a, b, largest = fit.tolist()
    return a * x + b * x**2 if x <= largest else None
