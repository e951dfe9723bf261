"""The metric that needs no download increases with degradations."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegen.features.random_vgg16 import RandomVGG16
from stylegen.metrics.formulas.frechet import Moments, distance
from tests.support.metric_images import NUM_MODES, blurred, noisy, portraits

NUM = 60


@pytest.fixture(scope="module")
def metric() -> Callable[[Tensor], float]:
    torch.set_num_threads(1)
    extractor = RandomVGG16()
    reals = Moments(extractor.dim)
    reals.update(extractor(portraits(NUM)))

    def metric(images: Tensor) -> float:
        moments = Moments(extractor.dim)
        moments.update(extractor(images))
        return distance(moments, reals)

    return metric


def test_equal_images_have_distance_0(metric: Callable[[Tensor], float]) -> None:
    assert metric(portraits(NUM)) < 1e-6


def test_rises_with_blur(metric: Callable[[Tensor], float]) -> None:
    others = portraits(NUM, first=NUM)
    values = [metric(others), *(metric(blurred(others, sigma)) for sigma in (0.5, 1.5))]
    assert all(low * 1.2 < high for low, high in itertools.pairwise(values)), values


def test_rises_with_noise(metric: Callable[[Tensor], float]) -> None:
    others = portraits(NUM, first=NUM)
    values = [metric(others), *(metric(noisy(others, sigma)) for sigma in (16, 48))]
    assert all(low * 1.2 < high for low, high in itertools.pairwise(values)), values


def test_rises_with_dropped_modes(metric: Callable[[Tensor], float]) -> None:
    others = portraits(NUM * 3, first=NUM)
    mode = torch.arange(len(others)) % NUM_MODES
    values = [metric(others[mode < kept][: NUM // NUM_MODES * kept]) for kept in (10, 5, 1)]
    assert all(low * 1.2 < high for low, high in itertools.pairwise(values)), values
