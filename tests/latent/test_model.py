"""`stylegen.load`: the same images as the Sampler, dtypes, labels, mixing, errors."""

import doctest
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stylegen
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.errors import UserError
from stylegen.latent import model as model_module
from stylegen.latent.mixing import mix
from stylegen.latent.motion import motion_matrix
from stylegen.latent.sample_labels import one_class
from stylegen.latent.sampler import Sampler
from stylegen.networks import build_generator
from tests.support.tiny import tiny_generator


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional snapshot with random weights."""
    path = tmp_path_factory.mktemp("model") / "000001.000.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = build_generator(
            "stylegan2", resolution=16, num_classes=3, z_dim=16, w_dim=16, channel_base=256, channel_max=16
        )
        generator.mapping.w_avg.normal_()
    save_snapshot(path, generator, {"images_seen": 1000, "class_names": ["a", "b", "c"]})
    return path


def test_sample_gives_the_images_of_the_sampler(path: Path) -> None:
    model = stylegen.load(path)
    for seeds in ("0-2", [0, 1, 2], range(3)):
        expected = Sampler(model.generator, psi=0.7, labels=one_class(1, 3)).images([0, 1, 2])
        assert torch.equal(model.sample(seeds, label="b").as_subclass(torch.Tensor), expected)
    assert torch.equal(model.sample(2, label=1)[0], expected[2])
    assert torch.equal(model.render(model.ws("0-2", psi=0.7, label=1)).float(), expected.float())


def test_mapping_and_synthesis_are_the_networks(path: Path) -> None:
    model = stylegen.load(path)
    z = torch.randn(2, model.generator.z_dim, generator=torch.Generator().manual_seed(0), requires_grad=True)
    c = torch.eye(3)[:2]
    ws = model.mapping(z, c, psi=0.5)
    w, mean = model.generator.mapping(z, c), model.generator.mapping.w_avg
    torch.testing.assert_close(ws, (mean + 0.5 * (w - mean))[:, None].expand(-1, model.num_ws, -1))
    model.synthesis(ws).square().sum().backward()
    assert z.grad is not None
    assert z.grad.abs().min() > 0


def test_mix_replaces_the_styles_of_the_layers(path: Path) -> None:
    model = stylegen.load(path)
    ws, other = model.ws([0, 1], 0.7, 0), model.ws(5, 0.7, 0)
    expected = model.render(mix(ws, other, [0, 1]))
    assert torch.equal(model.mix([0, 1], 5, "0-1", label=0).float(), expected.float())
    with pytest.raises(UserError, match="2 seeds with 3 styles"):
        model.mix([0, 1], [5, 6, 7])


def test_interpolation_begins_and_ends_at_the_seeds(path: Path) -> None:
    model = stylegen.load(path)
    frames = model.interpolate(3, 4, frames=5, label=0).float()
    torch.testing.assert_close(frames[[0, 4]], model.sample([3, 4], label=0).float(), atol=1, rtol=0)
    middle = model.render(model.ws([3, 4], 0.7, 0).mean(0, keepdim=True)).float()
    torch.testing.assert_close(frames[2:3], middle, atol=1, rtol=0)


def test_dtypes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """float64 agrees with float32 to one level; half precision generates images, in its dtype."""
    single = stylegen.load(path).sample([0, 1], label=0, noise="random")
    double = stylegen.load(path, dtype=torch.float64)
    assert double.synthesis(double.ws(0, label=0)).dtype == torch.float64
    difference = double.sample([0, 1], label=0, noise="random").float() - single.float()
    assert difference.abs().max() <= 1
    half = stylegen.load(path, dtype=torch.bfloat16)
    assert half.synthesis(half.ws(0, label=0)).dtype == torch.float32  # RGB images are added in float32
    assert half.sample([0, 1], psi=0.5).shape == half.interpolate(0, 1, frames=2, space="z").shape == single.shape
    monkeypatch.setattr(half, "render", lambda ws: ws)
    path_in_w = half.walk([0, 1, 2], frames=200)  # bfloat16 has 8 bits
    assert len(path_in_w.unique(dim=0)) == 600
    with pytest.raises(UserError, match="must be a floating-point type"):
        half.to(dtype=torch.int32)


def test_images_show_and_save_a_grid(path: Path, tmp_path: Path) -> None:
    images = stylegen.load(path).sample("0-4", label=0)
    assert type(images.float()) is torch.Tensor
    assert type(images[:2]) is torch.Tensor
    with Image.open(io.BytesIO(images._repr_png_())) as shown:
        side = 3 * images.shape[-1] + 2 * 2  # three columns, two gaps
        assert shown.size[0] == side
    with Image.open(images.save(tmp_path / "grid.png", columns=5, scale=2)) as saved:
        assert saved.size == (2 * (5 * images.shape[-1] + 4 * 2), 2 * images.shape[-1])


def test_errors(path: Path) -> None:
    model = stylegen.load(path)
    with pytest.raises(UserError, match=r"class=d: no such class.*a, b, c"):
        model.sample(0, label="d")
    with pytest.raises(UserError, match="seeds=-1"):
        model.sample([-1])
    with pytest.raises(UserError, match="no such file or model"):
        stylegen.load("nothing")
    with pytest.raises(AttributeError):
        stylegen.nothing  # noqa: B018


@pytest.mark.parametrize("seeds", [np.int64(2), np.array(2), np.array([2]), torch.tensor(2), torch.tensor([2]), "2"])
def test_seeds_of_numpy_and_torch(path: Path, seeds: object) -> None:
    model = stylegen.load(path)
    assert torch.equal(model.ws(seeds), model.ws([2]))  # type: ignore[arg-type]


@pytest.mark.parametrize("seeds", [0.7, [0.7], [0, None], None, torch.tensor([0.7]), [[0, 1]], []])
def test_seeds_that_are_no_whole_numbers(path: Path, seeds: object) -> None:
    with pytest.raises(UserError, match="seeds="):
        stylegen.load(path).sample(seeds)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "two words", torch.device("cuda", 99)])
def test_devices_that_are_not_there(path: Path, device: torch.device | str) -> None:
    with pytest.raises(UserError, match=f"device={device}: this machine has no such device"):
        stylegen.load(path, device)
    with pytest.raises(UserError, match=f"device={device}: this machine has no such device"):
        stylegen.load(path).to(device)
    assert stylegen.load(path, "cpu:0").to("cpu").device.type == "cpu"


def test_noise_of_synthesis(path: Path) -> None:
    model = stylegen.load(path)
    ws = model.ws([0, 1])
    for noise in ("foo", "random"):
        with pytest.raises(UserError, match=f"noise={noise}: .*Known: const, none"):
            model.synthesis(ws, noise)
    zeros = [torch.zeros(2, 1, r, r) for r in model.generator.synthesis.noise_sizes]
    torch.testing.assert_close(model.synthesis(ws, zeros), model.synthesis(ws, "none"))


@pytest.mark.parametrize("number", [0, -1, 1.5, "many", None])
def test_numbers_of_frames_columns_and_pixels(path: Path, number: int, tmp_path: Path) -> None:
    model = stylegen.load(path)
    with pytest.raises(
        UserError, match=f"frames={'null' if number is None else number}: must be an integer of at least 1"
    ):
        model.interpolate(0, 1, frames=number)
    images = model.interpolate(0, 1, frames=np.int64(2))
    with pytest.raises(UserError, match="scale="):
        images.save(tmp_path / "grid.png", scale=number)
    if number is not None:
        with pytest.raises(UserError, match="columns="):
            images.save(tmp_path / "grid.png", columns=number)
    assert not list(tmp_path.iterdir())


def test_save_returns_the_path_of_the_file(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert stylegen.load(path).sample(0).save("~/grid.png") == tmp_path / "grid.png"
    assert (tmp_path / "grid.png").is_file()


@pytest.mark.parametrize("module", [stylegen, model_module])
def test_docstrings_run(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted > 0
    assert results.failed == 0


def test_styles_take_the_place_of_seeds(path: Path) -> None:
    """Styles are used as they are, without truncation; styles of another network are refused."""
    model = stylegen.load(path)
    ws = model.ws([0, 1], psi=0.7, label=0)
    assert torch.equal(model.sample(ws).float(), model.render(ws).float())
    assert torch.equal(model.mix(ws, 5, "none", label=0).float(), model.render(ws).float())
    changes = model.style_space(ws[1:])
    images = model.render_styles(ws[:1], changes).float()
    torch.testing.assert_close(images, model.sample(ws[1:]).float(), atol=1, rtol=0)
    with pytest.raises(UserError, match="styles of shape"):
        model.sample(ws[:, :3])


def test_paths(path: Path) -> None:
    model = stylegen.load(path)
    corners = model.sample([0, 1, 2], label=0).float()
    plane = model.plane([0, 1, 2], steps=3, label=0).float()
    torch.testing.assert_close(plane[[0, 2, 6]], corners, atol=1, rtol=0)
    torch.testing.assert_close(model.walk([0, 1, 2], frames=2, label=0)[::2].float(), corners, atol=1, rtol=0)
    circle = model.interpolate(0, 1, frames=3, label=0, space="z").float()
    torch.testing.assert_close(circle[[0, 2]], corners[:2], atol=1, rtol=0)
    with pytest.raises(UserError, match="three points"):
        model.plane([0, 1])


def test_truncation_toward_a_class(path: Path) -> None:
    model = stylegen.load(path)
    ws = model.ws(range(4), label="a")
    assert torch.equal(model.truncate(ws, 1), ws)
    mean = model.truncate(ws, 0, label="a")
    torch.testing.assert_close(mean[0], model.ws(range(1000), label="a").mean(dim=0))
    assert not torch.allclose(mean, model.truncate(ws, 0))


def test_images_are_projected(path: Path, tmp_path: Path) -> None:
    """A path, a Pillow image and both kinds of tensors give the same styles; without gradients, in half precision."""
    model = stylegen.load(path)
    images = model.sample([0, 1], label="a")
    (tmp_path / "images").mkdir()
    for i in range(2):
        Image.fromarray(images[i].permute(1, 2, 0).numpy()).save(tmp_path / "images" / f"{i}.png")
    ws = model.project(images, "w", steps=3, starts=2, label="b")
    assert ws.shape == (2, model.num_ws, 16)
    assert ws.unique(dim=1).shape[1] == 1
    float_images = images.as_subclass(torch.Tensor) / 127.5 - 1
    for same in (tmp_path / "images", float_images, Image.open(tmp_path / "images" / "1.png")):
        with torch.no_grad():
            torch.testing.assert_close(
                model.project(same, "w", steps=3, starts=2, label="b")[-1], ws[-1], rtol=1e-3, atol=1e-3
            )
    assert model.project(images, steps=3, starts=1).unique(dim=1).shape[1] == model.num_ws
    bad = [
        (images[:, :, :8], {}, "Pillow image"),
        (float_images * 127, {}, "127.5 - 1"),
        (float_images.new_full((1, 3, 16, 16), torch.nan), {}, "127.5 - 1"),
        (images, {"space": "pivotal"}, "python -m stylegen project"),
        (images, {"space": "z"}, "w"),
        (images, {"steps": 0}, "steps=0"),
        (images, {"label": "d"}, "d"),
        ("nowhere.png", {}, "does not exist"),
    ]
    for given, settings, message in bad:
        with pytest.raises(UserError, match=message):
            model.project(given, **settings)


def test_stylegan3_mixes_walks_projects_and_moves(tmp_path: Path) -> None:
    """The operations of the other networks; its input can be moved, and it has no noise."""
    path = tmp_path / "t.safetensors"
    save_snapshot(path, tiny_generator(16, name="stylegan3", num_layers=4, channel_max=8), {"images_seen": 1000})
    model = stylegen.load(path)
    assert model.num_ws == 6
    assert not torch.equal(model.mix([0, 1], 10, layers="coarse"), model.sample([0, 1]))
    assert torch.equal(model.mix([0], 10, layers="all"), model.sample([10]))
    assert model.interpolate(0, 1, frames=3).shape == model.walk([0, 1, 2], frames=1).shape == (3, 3, 16, 16)
    found = model.project(model.sample([3]), steps=2, starts=4, space="w+")
    assert found.shape == (1, 6, 8)
    styles = model.style_space(0)
    assert list(styles) == ["input.affine", *(f"layers.{i}.affine" for i in range(5))]
    assert torch.equal(model.render_styles(0, {"layers.1.affine": styles["layers.1.affine"]}), model.sample([0]))
    moved = model.sample([0, 1], translate=(0.25, 0.0), rotate=90)
    assert torch.equal(model.render(model.ws([0, 1], psi=0.7), transform=motion_matrix((0.25, 0.0), 90)), moved)
    assert torch.equal(model.sample(model.ws([0, 1], psi=0.7), translate=(0.25, 0.0), rotate=90), moved)
    assert not torch.equal(moved, model.sample([0, 1]))
    with pytest.raises(UserError, match="noise=random: this network is stylegan3, without noise inputs"):
        model.sample(0, noise="random")
    with pytest.raises(UserError, match="layers=6: this network has the style layers 0 to 5"):
        model.mix(0, 1, layers="6")
    with pytest.raises(UserError, match="rotate=3: this network is stylegan2, whose input is fixed"):
        stylegen.load("portraits64").sample(0, rotate=3)
