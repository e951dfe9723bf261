"""Projection on a tiny generator: its own images are found again; schedules and penalties by their formulas."""

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
from stylegen.latent.latents_file import Latents, read_latents, write_latents
from stylegen.latent.project_images import project_images
from stylegen.latent.projection import (
    Matching,
    ProjectionOptions,
    Projector,
    autocorrelation,
    rate_factor,
    w_statistics,
)
from stylegen.networks import StyleGenerator, build_generator
from tests.support.runs import refused


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
        G.mapping.w_avg.copy_(w_statistics(G, 1000)[0][0])
    return G.eval().requires_grad_(False)


def own_images(generator: StyleGenerator, count: int = 2) -> list[tuple[str, Tensor]]:
    z = torch.randn(count, 16, generator=torch.Generator().manual_seed(1))
    images = generator(z).clamp(-1, 1)
    return [(f"image{i}", image) for i, image in enumerate(images)]


def test_own_images_are_found_again(generator: StyleGenerator) -> None:
    """W finds an image of the generator; W+ and pivotal tuning come closer, image by image."""
    options = ProjectionOptions(steps=200, tuning_steps=100, tuning_rate=3e-3, w_samples=1000)
    projector, named = Projector(generator, PIXELS, options), own_images(generator)
    plus = project_images(projector, named, "w+")
    tuned = project_images(projector, named, "pivotal")
    assert list(plus.images) == ["w", "w+"]
    assert list(tuned.images) == ["w", "pivotal"]
    assert plus.errors["w"] == tuned.errors["w"], "deterministic"
    start = w_statistics(generator, 1000)[0].unsqueeze(1).repeat(2, generator.num_ws, 1)
    first = (generator.synthesis(start).clamp(-1, 1) - plus.targets).abs().mean(dim=(1, 2, 3)) / 2
    for i in range(2):
        assert plus.errors["w"][i] < 0.5 * first[i].item()
        assert plus.errors["w+"][i] < plus.errors["w"][i]
        assert tuned.errors["pivotal"][i] < tuned.errors["w"][i]
    assert tuned.tuned is not None
    assert torch.equal(tuned.tuned.mapping.w_avg, generator.mapping.w_avg)
    one = project_images(projector, named[1:], "w")
    assert one.ws.unique(dim=1).shape[1] == 1, "one w for all layers"


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


def test_latents_are_read_back(generator: StyleGenerator, tmp_path: Path) -> None:
    ws = torch.randn(2, generator.num_ws, 16)
    write_latents(tmp_path / "x.npz", Latents(ws, ["a", "b"], {"space": "w+"}))
    found = read_latents(tmp_path / "x.npz", generator)
    assert torch.equal(found.ws, ws)
    assert (found.names, found.info) == (["a", "b"], {"space": "w+"})
    np.savez(tmp_path / "w.npz", w=ws[:, 0].numpy())  # as the published projector
    assert torch.equal(read_latents(tmp_path / "w.npz", generator).ws[:, 3], ws[:, 0])
    np.savez(tmp_path / "wide.npz", ws=np.zeros((1, generator.num_ws, 8), np.float32))
    with pytest.raises(UserError, match="this network has 6 layers and width 16"):
        read_latents(tmp_path / "wide.npz", generator)
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "nan.npz", ws=np.full((1, generator.num_ws, 16), np.nan, np.float32))
    np.savez(tmp_path / "object.npz", ws=np.array([{}], dtype=object), allow_pickle=True)
    for name in ("bad", "nan", "object"):
        with pytest.raises(DamagedFile, match="latents="):
            read_latents(tmp_path / f"{name}.npz", generator)


def test_names_become_distinct_file_names() -> None:
    assert list(distinct(["a/x.png", "b/x.jpg", "y.png"])) == ["x", "x_2", "y"]


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
    assert "holds 2 images" in refused([*again, "seeds=2"], tmp_path, capsys)


def test_bad_input(generator: StyleGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.png").write_bytes(b"no image")
    for settings, message in (
        (["images=nowhere.png"], "does not exist"),
        ([f"images={tmp_path / 'empty'}"], "holds no image"),
        ([f"images={tmp_path / 'no.png'}"], "not a PNG"),
        (["images=nowhere.png", "space=z"], "w+"),
        (["images=nowhere.png", "class=1"], "class"),
    ):
        assert message in refused(["project", *settings, f"out={tmp_path / 'out'}"], tmp_path, capsys)
    assert not (tmp_path / "out").exists()
