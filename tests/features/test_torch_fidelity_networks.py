from pathlib import Path

import pytest
import torch

from stylegen.errors import UserError
from stylegen.features import build_extractor
from stylegen.features.torch_fidelity_networks import VGG16, Inception
from stylegen.features.weights import sha256
from tests.support.random_networks import SmallVGG16, random_images, seeded_state, write_inception


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Inception:
    torch.set_num_threads(1)
    return Inception(write_inception(tmp_path_factory.mktemp("weights") / "random.pth"))


@pytest.fixture
def vgg16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VGG16:
    monkeypatch.setattr("torchvision.models.vgg16", SmallVGG16)
    torch.save(seeded_state(SmallVGG16()), tmp_path / "random.pth")
    return VGG16(tmp_path / "random.pth")


def test_inception_gives_pooled_features(inception: Inception) -> None:
    gray = random_images(2, channels=1)
    features = inception(gray)
    assert features.shape == (2, inception.dim)
    assert features.std(dim=0).mean() > 0
    torch.testing.assert_close(inception(gray.repeat(1, 3, 1, 1)), features)
    with pytest.raises(UserError, match="4 channels"):
        inception(random_images(1, channels=4))


def test_logits_equal_the_librarys(inception: Inception) -> None:
    """One pass is enough for `fid`, `kid` and `isc`: logits are computed from the features."""
    network = inception._network
    before = network.features_list
    try:
        network.features_list = ["2048", "logits_unbiased"]
        with torch.inference_mode():
            features, logits = network(random_images(2))
    finally:
        network.features_list = before
    torch.testing.assert_close(inception.logits(features), logits)


def test_weights_are_named_by_their_hash(inception: Inception, tmp_path: Path) -> None:
    assert inception.weights_id.startswith("sha256:")
    assert inception.recipe["weights_published"] is False
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file").startswith("ba7816bf")


def test_vgg16_gives_the_second_dense_layer(vgg16: VGG16) -> None:
    features = vgg16(random_images(3, side=64))
    assert features.shape == (3, 24)
    assert features.min() == 0
    assert vgg16.name == "vgg16"


def test_weights_of_another_network(tmp_path: Path) -> None:
    torch.save(seeded_state(SmallVGG16()), tmp_path / "vgg.pth")
    with pytest.raises(UserError, match="cannot be used as inception weights: its tensors do not match"):
        build_extractor("inception", tmp_path / "vgg.pth")


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the file's code was run",))


@pytest.mark.parametrize("content", ["text", "module", "code", "list"])
def test_files_that_are_no_plain_tensors(tmp_path: Path, content: str) -> None:
    path = tmp_path / "weights.pth"
    values = {"module": SmallVGG16(), "code": {"weight": Hostile()}, "list": [1, 2]}
    if content == "text":
        path.write_text("no tensors")
    else:
        torch.save(values[content], path)
    with pytest.raises(UserError, match="cannot be used as vgg16 weights"):
        build_extractor("vgg16", path)
