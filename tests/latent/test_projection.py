"""Projection on a tiny generator: its own images are found again; schedules and penalties by their formulas."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.data.prepare.target_images import distinct
from stylegen.errors import DamagedFile, UserError
from stylegen.features import RandomLPIPS
from stylegen.latent import project_images as project_images_module
from stylegen.latent.latents_file import Latents, read_latents, write_latents
from stylegen.latent.matching import Matching
from stylegen.latent.project_images import Projection, project_images
from stylegen.latent.projection import (
    ProjectionOptions,
    Projector,
    autocorrelation,
    rate_factor,
    w_statistics,
)
from stylegen.latent.sample_labels import one_class
from stylegen.networks import StyleGenerator, build_generator
from tests.support.runs import refused
from tests.support.tiny import tiny_generator


class NoFeatures:
    """A perceptual distance of 0: only pixels count."""

    def embed(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), 1)


PIXELS = Matching(NoFeatures())


@pytest.fixture(scope="module")
def generator() -> StyleGenerator:
    torch.manual_seed(0)
    G = build_generator(
        "stylegan2", resolution=16, z_dim=16, w_dim=16, mapping_layers=2, channel_base=128, channel_max=16
    )
    with torch.no_grad():
        for name, parameter in G.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
        G.mapping.w_avg.copy_(w_statistics(G, 1000).mean[0])
    return G.eval().requires_grad_(False)


def generated_images(generator: StyleGenerator, count: int = 2) -> list[tuple[str, Tensor]]:
    z = torch.randn(count, 16, generator=torch.Generator().manual_seed(1))
    images = generator(z).clamp(-1, 1)
    return [(f"image{i}", image) for i, image in enumerate(images)]


def test_generated_images_are_found_again(generator: StyleGenerator) -> None:
    """W finds an image of the generator; W+ and pivotal tuning come closer, image by image."""
    options = ProjectionOptions(steps=80, tuning_steps=40, tuning_rate=3e-3, w_samples=1000)
    projector, named = Projector(generator, PIXELS, options), generated_images(generator)
    plus = project_images(projector, named, "w+")
    tuned = project_images(projector, named, "pivotal")
    assert list(plus.images) == ["w", "w+"]
    assert list(tuned.images) == ["w", "pivotal"]
    assert plus.errors["w"] == tuned.errors["w"], "deterministic"
    start = w_statistics(generator, 1000).mean.unsqueeze(1).repeat(2, generator.num_ws, 1)
    first = (generator.synthesis(start).clamp(-1, 1) - plus.targets).abs().mean(dim=(1, 2, 3)) / 2
    for i in range(2):
        assert plus.errors["w"][i] < 0.5 * first[i].item()
        assert plus.errors["w+"][i] < plus.errors["w"][i]
        assert tuned.errors["pivotal"][i] < tuned.errors["w"][i]
    assert tuned.tuned is not None
    assert torch.equal(tuned.tuned.mapping.w_avg, generator.mapping.w_avg)
    assert tuned.ws.unique(dim=1).shape[1] == 1, "one w for all layers"


def test_an_image_does_not_depend_on_its_batch(generator: StyleGenerator) -> None:
    """Nor on other images, the batch's size, or its place: noise depends on the step only."""
    exact = copy.deepcopy(generator).double()
    named = generated_images(exact, 3)
    found = {}
    for size in (1, 2, 8):
        projector = Projector(exact, PIXELS, ProjectionOptions(steps=6, w_samples=50))
        found[size] = project_images(projector, named, "w+", batch_size=size)
        torch.testing.assert_close(found[size].ws, found[1].ws, rtol=1e-6, atol=1e-6)
    last = project_images(projector, named[2:], "w+")
    torch.testing.assert_close(last.ws, found[8].ws[2:], rtol=1e-6, atol=1e-6)


def test_the_search_starts_at_the_nearest(generator: StyleGenerator) -> None:
    """Of the mean and the first seeds; with starts=1 at the mean. The first step's learning rate is 0."""
    start = w_statistics(generator, 20)
    targets = generator.synthesis(start.samples[[7, 3, 7]].unsqueeze(1).expand(-1, generator.num_ws, -1))
    for starts, expected in ((10, start.samples[[7, 3, 7]]), (1, start.mean.repeat(3, 1))):
        found = Projector(generator, PIXELS, ProjectionOptions(steps=1, starts=starts)).to_w(targets, start)
        assert torch.equal(found[:, 0], expected)


KINDS = {
    "no noise": {"use_noise": False},
    "gray": {"channels": 1},
    "classes": {"num_classes": 3},
    "stylegan1": {"name": "stylegan1"},
    "labels in w": {"name": "stylegan1", "conditioning": "cin", "num_classes": 3},
    "no styles": {"name": "stylegan1", "conditioning": "none"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_networks(kind: str) -> None:
    """Each network, a growing one at 8 of its 16 px; in half precision, and without gradients outside."""
    G = tiny_generator(**KINDS[kind]).half()
    if len(G.resolutions) > 1:
        G.set_level(8, alpha=0.5)
    options = ProjectionOptions(steps=3, tuning_steps=1, w_samples=20)
    side = G.level.resolution
    named = [(str(i), torch.full((G.channels, side, side), i / 2)) for i in range(3)]
    seen: list[tuple[str, int, int]] = []
    with torch.no_grad():
        projector = Projector(G, PIXELS, options, lambda *now: seen.append(now[:3]))
        for space in ("w+", "pivotal"):
            found = project_images(
                projector,
                named,
                space,
                labels=one_class(G.num_classes - 1, G.num_classes) if G.num_classes else None,
                batch_size=2,
            )
            assert found.ws.shape == (3, G.num_ws, G.mapping.w_avg.shape[0])
            assert all(image.shape == found.targets.shape for image in found.images.values())
            assert found.ws.dtype == torch.float32
    assert next(G.parameters()).dtype == torch.float16, "the model itself is unchanged"
    assert seen[:2] == [("w", 3, 6), ("w", 6, 6)], "batches count together"
    assert seen[-1] == ("pivotal", 2, 2), "one step for each of two batches"


def test_divergence_is_an_error(generator: StyleGenerator) -> None:
    """Nothing that is not finite is written."""
    for options in (ProjectionOptions(steps=2, w_samples=10), ProjectionOptions(steps=1, w_samples=10, tuning_steps=1)):
        space = "w" if options.steps == 2 else "pivotal"
        with pytest.raises(UserError, match=r"learning_rate=0\.1|tuning_rate=0\.0003"):
            project_images(
                Projector(generator, Matching(NoFeatures(), 1e60), options), generated_images(generator), space
            )


def test_the_schedule_of_the_rate() -> None:
    """Linear to 5 %, constant, half a cosine from 75 %."""
    expected = {0.0: 0.0, 0.025: 0.5, 0.05: 1.0, 0.5: 1.0, 0.75: 1.0, 0.875: 0.5, 1.0: 0.0}
    for t, factor in expected.items():
        assert math.isclose(rate_factor(t), factor, abs_tol=1e-12), t


def test_autocorrelation() -> None:
    """A constant 1 gives 2 * 1 at 16 px, and 2 * (2 * 2)^2 at 8 px; white noise keeps its variance over the scales."""
    assert autocorrelation(torch.ones(1, 1, 16, 16)).tolist() == [2 + 32]
    white = torch.randn(8, 1, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blurred = torch.nn.functional.avg_pool2d(white, 3, 1, 1) * 3
    assert (autocorrelation(blurred) > 20 * autocorrelation(white)).all()
    assert autocorrelation(white).max() < 0.1


def test_distances_are_lpips_and_pixels() -> None:
    a, b = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    lpips = RandomLPIPS()
    found = (Matching(lpips, 0.0).embed(a) - Matching(lpips, 0.0).embed(b)).square().sum(dim=1)
    torch.testing.assert_close(found, lpips(a, b)[:, 0], rtol=1e-4, atol=1e-6)
    pixels = (PIXELS.embed(a) - PIXELS.embed(b)).square().sum(dim=1)
    half = torch.nn.functional.avg_pool2d(a - b, 2).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(pixels, ((a - b).square().mean(dim=(1, 2, 3)) + half) / 2)


def test_large_images_are_reduced_for_the_perceptual_distance() -> None:
    """To 256 px, as in appendix D."""

    class Size:
        def embed(self, images: Tensor) -> Tensor:
            return images.new_tensor([images.shape[1:]])

    for side, seen in ((64, 64), (256, 256), (1024, 256)):
        assert Matching(Size()).embed(torch.zeros(1, 1, side, side))[0, :3].tolist() == [1, seen, seen]


def test_latents_are_read_back(generator: StyleGenerator, tmp_path: Path) -> None:
    ws = torch.randn(2, generator.num_ws, 16)
    write_latents(tmp_path / "x.npz", Latents(ws, ["a", "b"], {"space": "w+"}))
    found = read_latents(tmp_path / "x.npz", generator)
    assert torch.equal(found.ws, ws)
    assert (found.names, found.info) == (["a", "b"], {"space": "w+"})
    np.savez(tmp_path / "w.npz", w=ws[:, 0].numpy(), names=np.array(3))  # w as of the published projector
    assert torch.equal(read_latents(tmp_path / "w.npz", generator).ws[:, 3], ws[:, 0])
    np.savez(tmp_path / "wide.npz", ws=np.zeros((1, generator.num_ws, 8), np.float32))
    with pytest.raises(UserError, match="this network has 6 layers and width 16"):
        read_latents(tmp_path / "wide.npz", generator)
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "nan.npz", ws=np.full((1, generator.num_ws, 16), np.nan, np.float32))
    np.savez(tmp_path / "object.npz", ws=np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "overflow.npz", ws=np.full((1, generator.num_ws, 16), 1e300))
    np.savez(tmp_path / "empty.npz", ws=np.zeros((0, generator.num_ws, 16), np.float32))
    for name in ("bad", "nan", "object", "overflow", "empty"):
        with pytest.raises(DamagedFile, match="latents="):
            read_latents(tmp_path / f"{name}.npz", generator)


def test_errors_are_computed_once_for_all_images(
    generator: StyleGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, calls = torch.zeros(5, 3, 16, 16), []
    error = project_images_module.mean_absolute_error
    monkeypatch.setattr(project_images_module, "mean_absolute_error", lambda *pair: calls.append(1) or error(*pair))
    found = Projection(list("abcde"), images, torch.zeros(5, generator.num_ws, 16), {"w": images + 0.5})
    found.write(tmp_path, {})
    recorded = json.loads((tmp_path / "projection.json").read_text())["mean_absolute_error"]
    assert recorded == {name: {"w": 0.25} for name in "abcde"}
    assert len(calls) == 2, "for the file and the strip"


def test_names_become_distinct_file_names() -> None:
    """Also where a number is taken, case is ignored, or a name holds escape codes or is too long for a file."""
    assert list(distinct(["a/x.png", "b/x.jpg", "y.png"])) == ["x", "x_2", "y"]
    assert list(distinct(["x.png", "X.jpg", "x_2.png"])) == ["x", "X_2", "x_2_2"]
    assert list(distinct(["strip.png", "a\x1b[31m\n.png", "a:b.png"], taken=["strip"])) == ["strip_2", "a_[31m_", "a_b"]
    assert all(len(f"{name}.png".encode()) < 255 for name in distinct(["\U0001f385" * 63] * 20))


def test_the_command(generator: StyleGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Latents, images, a strip and errors; `sample` reads the latents, and the tuned snapshot gives the image."""
    save_snapshot(tmp_path / "g.safetensors", generator, {"prepared": {"crop": "pad", "background": "white"}})
    (tmp_path / "images").mkdir()
    main(["sample", f"snapshot={tmp_path / 'g.safetensors'}", "mode=images", "seeds=0-1", f"out={tmp_path / 'images'}"])
    small = ["steps=4", "tuning_steps=3", "w_samples=100", "distance=random", f"snapshot={tmp_path / 'g.safetensors'}"]
    out = tmp_path / "out"
    assert main(["project", f"images={tmp_path / 'images'}", f"out={out}", "space=pivotal", *small]) == 0
    text = capsys.readouterr().out
    assert "distance lpips_random_vgg16" in text
    assert f"snapshot={out / 'tuned.safetensors'} latents={out / 'latents.npz'}" in text
    names = {path.name for path in out.iterdir()}
    assert names == {
        "latents.npz",
        "projection.json",
        "strip.png",
        "tuned.safetensors",
        "seed000000.png",
        "seed000001.png",
    }
    errors = json.loads((out / "projection.json").read_text())["mean_absolute_error"]
    assert set(errors["seed000001"]) == {"w", "pivotal"}
    assert load_snapshot(out / "tuned.safetensors").info["tuned_to"]["space"] == "pivotal"
    again = ["sample", f"snapshot={out / 'tuned.safetensors'}", f"latents={out / 'latents.npz'}", "mode=images"]
    assert main([*again, "seeds=1", f"out={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again" / "seed000001.png").read_bytes() == (out / "seed000001.png").read_bytes()
    capsys.readouterr()
    assert "not empty" in refused(["project", f"images={tmp_path / 'images'}", f"out={out}", *small], tmp_path, capsys)
    assert "holds 2 images" in refused([*again, "seeds=2"], tmp_path, capsys)


def test_bad_input(generator: StyleGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.png").write_bytes(b"no image")
    (tmp_path / "photo.heic").write_bytes(b"no image")
    save_snapshot(tmp_path / "rgba.safetensors", tiny_generator(8, channels=4), {})
    for settings, message in (
        (["images=nowhere.png"], "does not exist"),
        ([f"images={tmp_path / 'empty'}"], "contains no images"),
        ([f"images={tmp_path / 'no.png'}"], "not a PNG"),
        ([f"images={tmp_path / 'photo.heic'}"], "convert it to JPEG or PNG"),
        ([f"images={tmp_path / 'no.png'}", f"snapshot={tmp_path / 'rgba.safetensors'}"], "4 channels"),
        (["images=nowhere.png", "space=z"], "w+"),
        (["images=nowhere.png", "class=1"], "class"),
    ):
        assert message in refused(["project", *settings, f"out={tmp_path / 'out'}"], tmp_path, capsys)
    assert not (tmp_path / "out").exists()
