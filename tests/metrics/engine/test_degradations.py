"""Metrics increase with severity, and the default metric ranks static much worse than a slight blur."""

import itertools

import pytest
import torch
from torch import Tensor

from stylegen.features.efficientnet_lite0 import EfficientNetLite0
from stylegen.metrics.engine import degradations
from stylegen.metrics.engine.degradations import DEGRADATIONS, Degradation
from stylegen.metrics.formulas.frechet import Moments, distance
from tests.support.metric_images import portraits

DAMAGING = [d for d in DEGRADATIONS if d.damage is not None]
NUM = 48


@pytest.mark.parametrize("degradation", DAMAGING, ids=lambda d: d.name)
def test_damage_grows_with_severity_and_is_a_function_of_the_images_number(degradation: Degradation) -> None:
    images, numbers = portraits(200, side=16), torch.arange(200)
    assert degradation.damage is not None
    changes = [0.0]
    for severity in degradation.severities:
        found = degradation.damage(images, numbers, severity)
        assert (found.dtype, found.shape) == (torch.uint8, images.shape)
        changes.append((found.float() - images.float()).square().mean().item())
        assert torch.equal(found[7:9], degradation.damage(images[7:9], numbers[7:9], severity))
    assert all(low < high for low, high in itertools.pairwise(changes)), changes


def test_damage_by_hand() -> None:
    image = torch.tensor([[0, 40, 80, 255]], dtype=torch.uint8).repeat(4, 1).expand(1, 3, 4, 4)
    zero = torch.tensor([0])
    assert degradations.translate(image, zero, 1)[0, 0, 0].tolist() == [0, 0, 40, 80]
    assert degradations.shift_red(image, zero, 8)[0, :, 0, 3].tolist() == [255, 255, 255]
    assert degradations.shift_red(image, zero, 8)[0, :, 0, 1].tolist() == [48, 40, 40]
    assert degradations.pixelate(image, zero, 2)[0, 0, 0].tolist() == [20, 20, 168, 168]
    swapped = degradations.swap_patches(image, zero, 4)
    assert sorted(swapped[0, 0].flatten().tolist()) == sorted(image[0, 0].flatten().tolist())


def test_sets_of_images() -> None:
    classes = torch.arange(60) % 6
    kept = degradations.drop_classes(classes, 5 / 6)
    assert len(kept) == 60
    assert set(classes[kept].tolist()) == {0}
    assert set(classes[degradations.drop_classes(classes, 1 / 6)].tolist()) == {0, 1, 2, 3, 4}
    copied = degradations.memorize(classes, 1 / 4)
    assert len(copied) == 60
    assert len(copied.unique()) == 15


def test_the_default_metric_follows_severity_and_cannot_be_fooled_by_static() -> None:
    """The random VGG16 fails this test: it ranks a slight blur worse than salt and pepper."""
    torch.set_num_threads(1)
    extractor = EfficientNetLite0()
    images, numbers = portraits(NUM), torch.arange(NUM)

    def described(shown: Tensor) -> Moments:
        moments = Moments(extractor.dim)
        moments.update(extractor(shown))
        return moments

    reals = described(images)

    def measured(name: str, severity: float) -> float:
        (degradation,) = [d for d in DAMAGING if d.name == name]
        assert degradation.damage is not None
        return distance(described(degradation.damage(images, numbers, severity)), reals)

    blur = [measured("blur", sigma) for sigma in (0.5, 2)]
    salt = [measured("salt and pepper", share) for share in (0.01, 0.2)]
    static = measured("replaced by static", 1)
    assert blur[0] < blur[1]
    assert salt[0] < salt[1]
    assert salt[1] > 3 * blur[0]
    assert static > salt[1]
