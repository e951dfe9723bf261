from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.features import build_extractor, weights
from stylegen.features.lpips import LPIPS
from stylegen.features.nvidia_vgg16 import NvidiaVGG16
from stylegen.features.random_vgg16 import random_weights
from stylegen.features.weights import PublishedWeights, sha256

WIDTHS = (64, 128, 256, 512, 512)


def images(count: int, purpose: str, side: int = 16) -> Tensor:
    return randomness.uniform(0, f"tests/{purpose}", torch.arange(count), (3, side, side)) * 2 - 1


def put(path: Path, content: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write seeded tensors in place of a published file."""
    torch.save(content, path)
    published = PublishedWeights(path.name, 1, f"https://example.org/{path.name}", sha256(path))
    monkeypatch.setitem(weights.PUBLISHED, name, published)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kernels = random_weights(0)
    trunk: dict[str, Tensor] = {}
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of torchvision's layers
    for place, kernel in zip(places, kernels, strict=True):
        trunk[f"features.{place}.weight"] = kernel
        trunk[f"features.{place}.bias"] = randomness.normal(place, "tests/bias", torch.arange(len(kernel))) * 0.1
    layers = {
        f"lin{i}.model.1.weight": randomness.uniform(i, "tests/lin", torch.arange(w)).reshape(1, w, 1, 1)
        for i, w in enumerate(WIDTHS)
    }
    put(tmp_path / "vgg.pth", trunk, "vgg16", monkeypatch)
    put(tmp_path / "lpips.pth", layers, "lpips_layers", monkeypatch)
    return tmp_path


def test_against_the_formula_in_float64(files: Path) -> None:
    x, y = images(2, "x"), images(2, "y")
    trunk = {k: v.double() for k, v in torch.load(files / "vgg.pth", weights_only=True).items()}
    layers = list(torch.load(files / "lpips.pth", weights_only=True).values())
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    total = torch.zeros(2, dtype=torch.float64)
    sides = [(side.double() - shift[:, None, None]) / scale[:, None, None] for side in (x, y)]
    numbers = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    for block, (numbers_of_block, layer) in enumerate(zip(numbers, layers, strict=True)):
        if block:
            sides = [functional.max_pool2d(side, 2) for side in sides]
        for n in numbers_of_block:
            weight, bias = trunk[f"features.{n}.weight"], trunk[f"features.{n}.bias"]
            sides = [functional.conv2d(side, weight, bias, padding=1).relu() for side in sides]
        a, b = (side / side.square().sum(1, keepdim=True).sqrt() for side in sides)
        total += (layer.double() * (a - b) ** 2).sum(1).mean((1, 2))
    found = LPIPS(files)(x, y)
    assert found.shape == (2, 1)
    torch.testing.assert_close(found[:, 0].double(), total, rtol=1e-4, atol=0)


def test_equal_images_are_at_distance_0_and_gray_is_repeated(files: Path) -> None:
    for distance in (LPIPS(files), build_extractor("lpips_random_vgg16")):
        x, y = images(3, "x", 8), images(3, "y", 8)
        assert (distance(x, x) == 0).all()
        gray = [side[:, :1] for side in (x, y)]
        torch.testing.assert_close(distance(*gray), distance(*(g.repeat(1, 3, 1, 1) for g in gray)))


def test_weights_that_do_not_fit(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(files / "lpips.pth", {"lin0": torch.zeros(3)}, "lpips_layers", monkeypatch)
    with pytest.raises(UserError, match="five layers of LPIPS"):
        LPIPS(files)
    put(files / "vgg.pth", {"features.0.weight": torch.zeros(3, 3, 3, 3)}, "vgg16", monkeypatch)
    with pytest.raises(UserError, match="13 convolutions"):
        LPIPS(files)


def test_nothing_but_the_published_torchscript_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(b"code")
    monkeypatch.setattr("torch.jit.load", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(UserError, match=r"cannot be used as nvidia_vgg16 weights: its SHA-256 .* is not the published"):
        NvidiaVGG16(path)


def test_nvidias_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network(torch.nn.Module):
        def forward(self, images: Tensor, return_features: bool) -> Tensor:
            assert return_features
            assert images.dtype == torch.uint8
            return images.float().mean((2, 3))

    put(tmp_path / "vgg16.pt", {}, "nvidia_vgg16", monkeypatch)
    monkeypatch.setattr("torch.jit.load", lambda path, map_location: Network())
    extractor = NvidiaVGG16(tmp_path)
    assert extractor(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape == (2, 3)
    assert extractor.weights_id.startswith("sha256:")


def test_the_layers_come_from_the_installed_package(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package only VGG16 is downloaded; the package's code is not imported, and another file is refused."""
    site = tmp_path / "site"
    (site / "lpips" / "weights" / "v0.1").mkdir(parents=True)
    (site / "lpips-0.1.4.dist-info").mkdir()
    (site / "lpips-0.1.4.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: lpips\nVersion: 0.1.4\n")
    (site / "lpips" / "__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    own = weights.PUBLISHED["lpips_layers"]
    inside = site / "lpips" / "weights" / "v0.1" / "vgg.pth"
    monkeypatch.setitem(
        weights.PUBLISHED, "lpips_layers", replace(own, package="lpips", member="lpips/weights/v0.1/vgg.pth")
    )
    (files / "lpips.pth").rename(inside)
    assert weights.require_weights("lpips_layers", files) == inside
    x = images(1, "x")
    assert LPIPS(files)(x, x).item() == 0
    inside.write_bytes(b"another")
    with pytest.raises(UserError, match="pip install --force-reinstall --no-deps lpips"):
        LPIPS(files)


def test_lpips_package_has_the_published_layers() -> None:
    published = weights.PUBLISHED["lpips_layers"]
    assert (published.package, published.member) == ("lpips", "lpips/weights/v0.1/vgg.pth")
