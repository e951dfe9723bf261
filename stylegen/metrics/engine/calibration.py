"""Reference values of a metric, for image sets of known quality.

A Frechet distance has no unit, and its bias depends on the number of images. The card therefore reports reference
values: for other reals, for a perfect generator, for the reals averaged over 2x2 pixels (loses fine detail only), and
for one real image repeated (no variety).

Real against real compares N/2 images with N/2 and is not a lower bound: a perfect generator, which samples from the
data's distribution, has a lower distance with more samples. For equal distributions the Frechet distance
between m and n images is pure bias, to second order in x = 1/m + 1/n

    FD(x) = a x + b x^2.

a and b are fitted to disjoint subsets of N/2, N/4 and N/8 reals and evaluated at x = 1/num_samples + 1/N. This is the
extrapolation in 1/N of Chong and Forsyth 2020 (arXiv 1911.07023, section 3), with a known limit of 0. Checked on
Gaussians with the covariance of 894 portraits in the features of EfficientNet-Lite0: 5,000 samples measure 11.6, the
fit predicts 11.9, a line with free intercept 19.7, and N/2 against N/2 measures 39.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stylegen import distributed, randomness
from stylegen.metrics.engine.reals import (
    MAX_PAIRED,
    SEED,
    Extraction,
    RealImages,
    RealStatistics,
    cache_key,
    each_batch,
    halves_of,
)
from stylegen.metrics.engine.statistics_cache import Key, StatisticsCache
from stylegen.metrics.formulas.feature_set import Arrays, FeatureSet, Kind
from stylegen.metrics.formulas.frechet import Moments
from stylegen.metrics.protocol.evaluation_settings import MetricOptions
from stylegen.metrics.protocol.metric import Metric

_ONE_IMAGE = "metrics/one_picture"  # do not rename: part of the random key
NUM_CANDIDATES = 49
REFERENCES = {
    "perfect_generator": "expected for fresh images of the reals' distribution: a x + b x^2, x = 1/num_samples + "
    "1/num_reals, fitted to real against real at 1/2, 1/4 and 1/8 of the reals",
    "real_vs_real": "one half of the reals (keyed order) against the other half: N/2 images on either side, no bound",
    "averaged_2x2": "the reals averaged over 2x2 pixels, rounded, each mean repeated 2x2, against all reals",
    "one_image_repeated": f"one real image repeated, against all reals: of {NUM_CANDIDATES} (keyed choice) the "
    "median in distance from the mean of the features",
}
VERSION = 2  # of these definitions; part of the cache key

_FIT = "fit"  # a, b and the largest measured x, in a cache entry
_PAIRS = 2  # of subsets of each size, if there are enough reals


@dataclass(frozen=True)
class Calibration:
    """Computes the references of metrics that share an extractor and reals.

    Args:
        reals, extraction: the real images and the extractor.
        statistics: feature statistics of these reals, with their halves.
        options: see `MetricOptions`.
        cache: stores the references.
        seed: key of the random choices.
    """

    reals: RealImages
    extraction: Extraction
    statistics: RealStatistics
    options: MetricOptions
    cache: StatisticsCache
    seed: int = SEED

    def references(self, metrics: Sequence[Metric], num_fakes: int) -> dict[str, dict[str, float]]:
        """The reference values of each number, for the sets of `REFERENCES`; cached or computed.

        Omitted: real against real if the halves are smaller than a metric needs; the perfect generator for metrics
        other than Frechet distances and for x beyond the fitted range; both if the halves share images
        (`real_sets.FirstReals.repeats`). On rank 0; empty on the others.

        Args:
            num_fakes: number of measured images.
        """
        keys = {m.id: self._key(m) for m in metrics}
        found = {i: self.cache.load(key) if distributed.is_rank0() else None for i, key in keys.items()}
        missing_ids = distributed.broadcast_from_rank0(lambda: [i for i in keys if found[i] is None])
        missing = [m for m in metrics if m.id in missing_ids]
        if missing:
            sets = self._sets({m.kind for m in missing})
            for metric in missing if distributed.is_rank0() else ():
                arrays = (self._fit(metric) if metric.kind == "moments" else {}) | self._values(metric, sets)
                found[metric.id] = arrays
                self.cache.store(keys[metric.id], arrays)
        result: dict[str, dict[str, float]] = {}
        shared = getattr(self.reals, "repeats", False)
        for arrays in filter(None, found.values()):
            for name, value in arrays.items():
                key, _, what = name.partition("/")
                if shared and what in ("real_vs_real", _FIT):
                    continue
                if what != _FIT:
                    result.setdefault(key, {})[what] = float(value)
                elif (expected := _expected(value, 1 / num_fakes + 1 / self.reals.num_images)) is not None:
                    result.setdefault(key, {})["perfect_generator"] = expected
        return result

    def _key(self, metric: Metric) -> Key:
        key = cache_key(self.reals, self.extraction.extractor, self.seed, f"references-{metric.id}")
        options = {} if metric.kind == "moments" else {"options": json.dumps(asdict(self.options), sort_keys=True)}
        return {**key, "references": f"{VERSION} {' '.join(REFERENCES)}", **options}

    def _values(self, metric: Metric, sets: dict[str, tuple[FeatureSet, FeatureSet]]) -> Arrays:
        """`<key>/<reference>` -> value, for all keys except deviations."""
        values: Arrays = {}
        least = metric.formula.min_fakes(self.options), metric.formula.min_reals(self.options)
        for what, (fakes, others) in sets.items():
            if metric.kind == "features" and (len(fakes.features) < least[0] or len(others.features) < least[1]):
                continue
            for key, value in metric.compute(fakes, others, self.extraction.extractor, self.options).items():
                if not key.endswith("_std"):
                    values[f"{key}/{what}"] = np.asarray(value)
        return values

    def _sets(self, kinds: set[Kind]) -> dict[str, tuple[FeatureSet, FeatureSet]]:
        """For each of `REFERENCES`: the images to evaluate, and the images to compare with."""
        averaged = self._averaged(kinds)
        if not distributed.is_rank0():
            return {}
        reals, features = self.reals, self.statistics.features
        one = self._median_image()
        whole = self.statistics.feature_set()
        halves = self.statistics.halves or (None, None)
        parts: list[Tensor | None] = [None, None]
        if features is not None and "features" in kinds:
            in_first = halves_of(reals.num_images, self.seed)
            parts = [features[in_first][:MAX_PAIRED], features[~in_first][:MAX_PAIRED]]
            whole = FeatureSet.of(whole.moments, features[:MAX_PAIRED])
            averaged = FeatureSet.of(averaged.moments, averaged.features[:MAX_PAIRED])
        repeated = one.expand(min(reals.num_images, MAX_PAIRED), -1).contiguous()
        # One image repeated has its features as mean and covariance 0: one pass of the network is enough.
        mean = one[0].double()
        point = Moments.of(reals.num_images, mean, torch.zeros(len(mean), len(mean), dtype=torch.float64))
        return {
            "real_vs_real": (FeatureSet.of(halves[0], parts[0]), FeatureSet.of(halves[1], parts[1])),
            "averaged_2x2": (averaged, whole),
            "one_image_repeated": (FeatureSet.of(point, repeated), whole),
        }

    def _averaged(self, kinds: set[Kind]) -> FeatureSet:
        found = FeatureSet(self.extraction.extractor.dim, kinds)

        def work() -> None:
            for numbers in each_batch(self.reals, self.extraction, "reals averaged over 2x2"):
                found.update(self.extraction.features(average_2x2(self.reals.batch(numbers)[0])))

        distributed.run_on_all_ranks(work)
        return found.gathered(self.reals.num_images)

    def _median_image(self) -> Tensor:
        """Features [1, dim] of the candidate with the median distance from the mean of the reals.

        It also has the median Frechet distance, |f - mean|^2 + Tr(S) for a repeated image: 7.7 to 25 for the portraits
        in the features of `random_vgg16`.
        """
        numbers = randomness.permutation(self.reals.num_images, self.seed, _ONE_IMAGE)[:NUM_CANDIDATES]
        features, whole = self.statistics.features, self.statistics.feature_set()
        if features is not None:  # rounding depends on the batch, and the image must be its own neighbor
            found, mean = features[numbers], features.double().mean(dim=0)
        else:
            assert whole.moments is not None
            found, mean = self.extraction.features(self.reals.batch(numbers)[0]), whole.moments.mean
        distances = (found.double() - mean).square().sum(dim=1)
        return found[distances.argsort()[len(distances) // 2]][None]

    def _fit(self, metric: Metric) -> Arrays:
        """`<key>/fit` -> a, b and the largest x, by least squares of FD / x = a + b x."""
        count, features = self.reals.num_images, self.statistics.features
        assert self.statistics.halves is not None
        pairs = [self.statistics.halves]
        if features is not None and count <= MAX_PAIRED:
            order = randomness.permutation(count, self.seed, "metrics/halves")
            for size in (count // 4, count // 8):
                pairs += _subsets(features[order], size)
        (key,) = metric.keys
        x = np.array([1 / a.count + 1 / b.count for a, b in pairs])
        sets = [(FeatureSet.of(a, None), FeatureSet.of(b, None)) for a, b in pairs]
        values = np.array([metric.compute(a, b, self.extraction.extractor, self.options)[key] for a, b in sets])
        terms = np.stack([np.ones_like(x), x], axis=1)[:, : min(2, len(set(x)))]
        solution = np.linalg.lstsq(terms, values / x, rcond=None)[0]
        return {f"{key}/{_FIT}": np.array([*solution, *[0.0] * (2 - len(solution)), x.max()])}


def average_2x2(images: Tensor) -> Tensor:
    """uint8 NCHW with even sides: means of 2x2 pixels, rounded half up, repeated to the original size."""
    means = functional.avg_pool2d(images.float(), 2)
    small = (means + 0.5).floor().to(torch.uint8)
    return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def _subsets(features: Tensor, size: int) -> Iterator[tuple[Moments, Moments]]:
    """Moments of disjoint subsets, in pairs."""
    for pair in range(_PAIRS if size > 1 else 0):
        both = Moments(features.shape[1]), Moments(features.shape[1])
        for side, moments in enumerate(both):
            moments.update(features[(2 * pair + side) * size :][:size])
        yield both


def _expected(fit: np.ndarray, x: float) -> float | None:
    """a x + b x^2; None if x exceeds the fitted range."""
    a, b, largest = fit.tolist()
    return a * x + b * x**2 if x <= largest else None
