"""What a score means: the same score for three sets of pictures whose quality everybody can picture.

A Frechet distance has no unit. Beside it stand the scores of other real pictures (nothing can be expected
to do better with so many pictures), of the reals blurred by averaging 2x2 pixels (everything right but the
finest detail), and of one real picture repeated (perfect pictures, no variety). Which of the last two is larger
depends on how sharp the pictures are, and on which one is repeated.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.metrics.cache import StatisticsCache
from stylegen.metrics.frechet import Moments, distance
from stylegen.metrics.reals import Extraction, RealImages, RealStatistics, cache_key, each_batch

REFERENCES = {
    "real_vs_real": "one half of the reals (keyed order) against the other half",
    "averaged_2x2": "the reals averaged over 2x2 pixels, rounded, each mean repeated 2x2, against all reals",
    "one_picture_repeated": "one real picture (keyed choice), repeated, against all reals",
}


def references(
    reals: RealImages, extraction: Extraction, statistics: RealStatistics, seed: int, cache: StatisticsCache
) -> dict[str, float]:
    """The Frechet distances of `REFERENCES`, from the cache or computed with one more pass over the reals.

    The halves have half as many pictures as the sets of the other scores, and a Frechet distance falls with
    the number of pictures (its bias is positive), so the floor is a little high rather than too low.

    Args:
        statistics: of these reals by this extractor, with their halves.
        seed: of the keyed choices.
    """
    key = cache_key(reals, extraction.extractor, seed, "references")
    cached = cache.load(key)
    if cached is not None and set(cached) == set(REFERENCES):
        return {name: float(cached[name]) for name in REFERENCES}
    assert statistics.halves is not None
    whole = statistics.feature_set().moments
    assert whole is not None
    result = {
        "real_vs_real": distance(*statistics.halves),
        "averaged_2x2": distance(_averaged_moments(reals, extraction), whole),
        "one_picture_repeated": distance(_one_picture_moments(reals, extraction, seed), whole),
    }
    cache.store(key, {name: np.asarray(value) for name, value in result.items()})
    return result


def average_2x2(images: Tensor) -> Tensor:
    """uint8 NCHW with even sides: means of 2x2 pixels, halves rounded up, repeated to the old size."""
    means = functional.avg_pool2d(images.float(), 2)
    small = (means + 0.5).floor().to(torch.uint8)
    return small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def chosen_picture(num_images: int, seed: int) -> int:
    """Number of the picture that is repeated."""
    return int(randomness.integers(num_images, seed, "metrics/one_picture", torch.tensor([0])))


def _averaged_moments(reals: RealImages, extraction: Extraction) -> Moments:
    moments = Moments(extraction.extractor.dim)
    for numbers in each_batch(reals, extraction.batch_size):
        moments.update(extraction.features(average_2x2(reals.batch(numbers)[0])))
        extraction.report("reals averaged over 2x2", int(numbers[-1]) + 1, reals.num_images)
    return moments


def _one_picture_moments(reals: RealImages, extraction: Extraction, seed: int) -> Moments:
    """A picture repeated has its features as mean, and no spread: one pass through the network says it all."""
    number = chosen_picture(reals.num_images, seed)
    features = extraction.features(reals.batch(torch.tensor([number]))[0])
    mean = features[0].double()
    return Moments.of(reals.num_images, mean, torch.zeros(len(mean), len(mean), dtype=torch.float64))
