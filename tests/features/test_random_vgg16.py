import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stylegen.errors import UserError
from stylegen.features import build_extractor
from stylegen.features.extractor import chunk_size
from stylegen.features.random_vgg16 import LAYERS, RandomVGG16, random_weights
from tests.support.random_networks import random_images

FIRST = [
    [-0.072211809, 0.3513411, 0.086907506, -0.14692374],
    [0.022355303, 0.0091589093, -0.0027562059, -0.011253055],
]  # of the first kernel, and the last of the last
SQUARES = [
    133.340815,
    129.100934,
    253.551786,
    256.244014,
    512.072319,
    513.596023,
    512.757953,
    1024.47789,
    1025.03821,
    1024.59946,
    1024.01104,
    1023.18221,
    1023.55554,
]  # sums of squares of the 13 kernels
FEATURES = [
    [1.946941, 0.6875362, 0.4146806],
    [1.917217, 0.6418319, 0.5789393],
]  # the first three of two images


def test_chunks_are_larger_on_a_gpu_and_bounded_in_memory() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert [chunk_size(cpu, 16, side**2) for side in (32, 1024)] == [16, 16]
    assert [chunk_size(gpu, 16, side**2) for side in (32, 256, 1024)] == [128, 64, 16]
    assert chunk_size(gpu, 1, 1024**2) == 4


@pytest.fixture(scope="module")
def extractor() -> RandomVGG16:
    torch.set_num_threads(1)
    return RandomVGG16()


def test_weights_are_pinned() -> None:
    """Any change of the weights is a new metric and needs a new version in `weights_id`."""
    kernels = random_weights(0)
    first = torch.tensor(FIRST)
    torch.testing.assert_close(kernels[0].flatten()[:4], first[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(kernels[12].flatten()[-4:], first[1], rtol=1e-6, atol=0)
    sums = [kernel.double().square().sum().item() for kernel in kernels]
    assert sums == pytest.approx(SQUARES, rel=1e-6)


def test_weights_follow_he_et_al() -> None:
    kernels = random_weights(0)
    assert sum(kernel.numel() for kernel in kernels) == 14_710_464  # VGG16's trunk without biases
    for kernel in kernels[1:]:
        deviation = math.sqrt(2 / kernel[0].numel())
        assert kernel.mean().abs() < 5 * deviation / math.sqrt(kernel.numel())
        assert kernel.std().item() == pytest.approx(deviation, rel=0.01)


def test_features_are_pinned(extractor: RandomVGG16) -> None:
    features = extractor(random_images(2))
    torch.testing.assert_close(features[:, :3], torch.tensor(FEATURES), rtol=1e-4, atol=1e-5)


def slow_trunk(images: Tensor) -> Tensor:
    """The trunk in float64: convolutions as matrix products of patches, poolings as maxima over a reshaped map."""
    x = images.double() / 127.5 - 1
    kernels = iter(random_weights(0))
    for layer in LAYERS:
        count, _, height, width = x.shape
        if layer == "M":
            x = x.reshape(count, -1, height // 2, 2, width // 2, 2).amax(dim=(3, 5))
            continue
        patches = functional.unfold(x, 3, padding=1)
        x = (next(kernels).double().flatten(1) @ patches).clamp(min=0).reshape(count, -1, height, width)
    return x.flatten(2).mean(2)


@pytest.mark.parametrize("side", [32, 64])
def test_against_a_slow_trunk_in_float64(extractor: RandomVGG16, side: int) -> None:
    images = random_images(2, side)
    torch.testing.assert_close(extractor(images).double(), slow_trunk(images), rtol=1e-4, atol=1e-5)


def test_batches_and_chunks_do_not_matter(extractor: RandomVGG16) -> None:
    images = random_images(40)
    whole = extractor(images)
    assert whole.shape == (40, extractor.dim)
    torch.testing.assert_close(torch.cat([extractor(image[None]) for image in images]), whole, rtol=1e-4, atol=1e-5)


def test_small_images_are_enlarged_by_repetition(extractor: RandomVGG16) -> None:
    small = random_images(2, side=8)
    large = small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    torch.testing.assert_close(extractor(small), extractor(large))


def test_gray_is_repeated_and_alpha_refused(extractor: RandomVGG16) -> None:
    gray = random_images(2, channels=1)
    torch.testing.assert_close(extractor(gray), extractor(gray.repeat(1, 3, 1, 1)))
    for channels in (2, 4):
        with pytest.raises(UserError, match=f"{channels} channels"):
            extractor(random_images(1, channels=channels))


def test_only_uint8(extractor: RandomVGG16) -> None:
    with pytest.raises(TypeError, match="uint8 NCHW"):
        extractor(torch.zeros(1, 3, 32, 32))


def test_surrounding_precision_settings_do_not_matter(extractor: RandomVGG16) -> None:
    images = random_images(2)
    expected = extractor(images)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = extractor(images)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_unknown_extractors_are_refused() -> None:
    with pytest.raises(UserError, match="Did you mean random_vgg16"):
        build_extractor("random_vgg")
