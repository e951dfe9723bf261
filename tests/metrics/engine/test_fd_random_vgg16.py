"""The score that needs no download rises with what makes pictures worse."""

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
def score() -> Callable[[Tensor], float]:
    torch.set_num_threads(1)
    extractor = RandomVGG16()
    reals = Moments(extractor.dim)
    reals.update(extractor(portraits(NUM)))

    def score(images: Tensor) -> float:
        moments = Moments(extractor.dim)
        moments.update(extractor(images))
        return distance(moments, reals)

    return score


def test_same_pictures_score_nothing(score: Callable[[Tensor], float]) -> None:
    assert score(portraits(NUM)) < 1e-6


def test_rises_with_blur(score: Callable[[Tensor], float]) -> None:
    others = portraits(NUM, first=NUM)
    scores = [score(others), *(score(blurred(others, sigma)) for sigma in (0.5, 1.5))]
    assert all(low * 1.2 < high for low, high in itertools.pairwise(scores)), scores


def test_rises_with_noise(score: Callable[[Tensor], float]) -> None:
    others = portraits(NUM, first=NUM)
    scores = [score(others), *(score(noisy(others, sigma)) for sigma in (16, 48))]
    assert all(low * 1.2 < high for low, high in itertools.pairwise(scores)), scores


def test_rises_with_dropped_modes(score: Callable[[Tensor], float]) -> None:
    others = portraits(NUM * 3, first=NUM)
    mode = torch.arange(len(others)) % NUM_MODES
    scores = [score(others[mode < kept][: NUM // NUM_MODES * kept]) for kept in (10, 5, 1)]
    assert all(low * 1.2 < high for low, high in itertools.pairwise(scores)), scores
