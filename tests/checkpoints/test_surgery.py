"""Network surgery: what stays the same image, what is new, and what no longer fits."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.__main__ import main
from stylegen.checkpoints.importers.foreign_model import ForeignModel, Weights
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.checkpoints.surgery import blended, resized, with_classes
from stylegen.checkpoints.transfer import read_weights
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, Level, StyleGenerator, build_generator
from tests.support.datasets import encode, write_folder
from tests.support.runs import refused, train

SMALL = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}


def made(network: str, resolution: int = 16, num_classes: int = 0, **settings: object) -> ForeignModel:
    """Random values in all tensors, w_avg and constant noise included."""
    generator = build_generator(network, resolution=resolution, num_classes=num_classes, **SMALL | settings)
    for tensor in generator.state_dict().values():
        tensor.normal_()
    return ForeignModel("stylegen", Weights(network, generator.settings, generator.state_dict()))


def made_r3gan(num_classes: int = 0) -> ForeignModel:
    generator = build_generator("r3gan", resolution=16, num_classes=num_classes, z_dim=8, channel_base=256)
    for tensor in generator.state_dict().values():
        tensor.normal_()
    return ForeignModel("stylegen", Weights("r3gan", generator.settings, generator.state_dict()))


def built(weights: Weights) -> StyleGenerator:
    generator = build_generator(weights.network, **weights.settings)
    generator.load_state_dict(weights.tensors)
    if weights.level is not None:
        generator.set_level(weights.level.resolution, weights.level.alpha)
    return generator.eval().requires_grad_(False)


def images(model: ForeignModel, label: int | None = None) -> Tensor:
    """Eight images without noise; with rounding errors of float64 only."""
    G = built(model.G_ema).double()
    z = torch.randn(8, G.z_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = None if label is None else torch.eye(G.num_classes, dtype=torch.float64)[[label] * 8]
    return G(z, c, noise="none")


def test_a_larger_skip_network_has_the_old_image() -> None:
    """The RGB image of 16 px is up-sampled by [1, 3, 3, 1]: on a constant image nothing changes; means are kept."""
    model = made("stylegan2")
    old, new = images(model), images(resized(model, 32))
    up = torch.nn.functional.conv_transpose2d(
        old.flatten(0, 1)[:, None],
        torch.outer(*[torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 4] * 2)[None, None],
        stride=2,
        padding=1,
    )
    torch.testing.assert_close(new, up.view_as(new), rtol=1e-12, atol=1e-12)


def test_there_and_back_is_the_identity() -> None:
    model = made("stylegan2")
    back = resized(resized(model, 32), 16)
    assert torch.equal(images(back), images(model))
    assert back.G_ema.settings == model.G_ema.settings
    assert back.notes[0].startswith("16 px to 32 px: ")


def test_a_stylegan_keeps_its_image_by_its_level() -> None:
    model = made("stylegan1")
    larger = resized(model, 32)
    assert larger.G_ema.level is not None
    assert larger.G_ema.level.resolution == 16
    assert torch.equal(images(larger), images(model))
    assert resized(larger, 16).G_ema.level is None


def test_a_fade_is_kept() -> None:
    """The level of a network that was saved while it grew, alpha included; not above the new resolution."""
    fading = replace(made("stylegan1"), G_ema=replace(made("stylegan1").G_ema, level=Level(8, 0.3)))
    for resolution in (8, 16, 32):
        changed = resized(fading, resolution)
        assert changed.G_ema.level == Level(8, 0.3)
        assert torch.equal(images(changed), images(fading))
    assert resized(replace(fading, G_ema=replace(fading.G_ema, level=Level(16, 0.3))), 8).G_ema.level is None


@pytest.mark.parametrize("network", ["stylegan1", "stylegan2"])
def test_classes_begin_with_the_unconditional_images(network: str) -> None:
    model = made(network)
    more = with_classes(model, 3)
    for label in range(3):
        torch.testing.assert_close(images(more, label), images(model), rtol=1e-6, atol=1e-6)  # weights are float32
    torch.testing.assert_close(images(with_classes(more, 0)), images(model), rtol=1e-6, atol=1e-6)
    G = built(more.G_ema).requires_grad_(True)
    G(torch.randn(3, G.z_dim), torch.eye(3)).square().sum().backward()
    embedding = G.mapping.embedding if network == "stylegan1" else G.mapping.embed.weight
    inputs = G.mapping.layers[0].weight.grad[:, G.z_dim :]
    assert max(embedding.grad.abs().max(), inputs.abs().max()) > 0, "a training can tell the classes apart"


def test_networks_without_such_classes_are_refused() -> None:
    """Tables of the class index have a row for each class, and w_avg has the label; w is z without layers."""
    with pytest.raises(UserError, match="its mapping network has no layers"):
        with_classes(made("stylegan1", mapping_layers=0), 3)
    for classes in (0, 2, 5):
        with pytest.raises(UserError, match=r"conditioned on the class index\. Omit num_classes"):
            with_classes(made("stylegan1", num_classes=3, conditioning="cin"), classes)
    for before, after in ((0, 2), (2, 3), (2, 0)):
        with pytest.raises(UserError, match="its mapping network has no layers"):
            with_classes(made_r3gan(num_classes=before), after)


@pytest.mark.parametrize("network", ["stylegan1", "stylegan2"])
def test_classes_are_kept(network: str) -> None:
    model = made(network, num_classes=3)
    for count in (2, 5):
        for label in range(2):
            torch.testing.assert_close(
                images(with_classes(model, count), label), images(model, label), rtol=1e-5, atol=1e-5
            )


def test_without_its_only_class_a_network_has_its_images() -> None:
    model = made("stylegan2", num_classes=1)
    torch.testing.assert_close(images(with_classes(model, 0)), images(model, 0), rtol=1e-5, atol=1e-5)


def test_blends() -> None:
    a, b = made("stylegan2"), made("stylegan2")
    assert torch.equal(images(blended(a, a, 4, 16)), images(a)), "with itself: the identity"
    whole = blended(a, b, 4, 16).G_ema.tensors
    for name, tensor in whole.items():
        assert torch.equal(tensor, (a if name.startswith("mapping.") else b).G_ema.tensors[name]), name
    half = blended(a, b, 16, 16, 0.5).G_ema.tensors["synthesis.blocks.16.conv1.weight"]
    torch.testing.assert_close(
        half,
        (a.G_ema.tensors["synthesis.blocks.16.conv1.weight"] + b.G_ema.tensors["synthesis.blocks.16.conv1.weight"]) / 2,
    )
    assert all(torch.equal(t, whole[name]) for name, t in blended(a, b, 0, 16).G_ema.tensors.items())
    with pytest.raises(UserError, match="layers from 4 to 16 px"):
        blended(a, b, 32, 64)
    with pytest.raises(UserError, match="activation is lrelu in the first and relu in the second"):
        blended(a, made("stylegan2", activation="relu"), 4, 16)
    with pytest.raises(UserError, match=r"in the second model, and of shape"):
        blended(a, made("stylegan2", channel_max=4), 4, 16)
    with pytest.raises(UserError, match="is missing in the second"):
        blended(a, made("stylegan1"), 4, 16)


def test_stylegan3_layers_blend_by_the_resolution_of_their_bandwidth() -> None:
    """Cutoffs 2, 4, 8, 8, 8 at 16 px: slots of 4 (the input), 4, 8, 16, 16, 16 px."""
    a, b = made("stylegan3", num_layers=4), made("stylegan3", num_layers=4)
    found = blended(a, b, 8, 8).G_ema.tensors
    changed = {
        name.rpartition(".")[0] for name, tensor in found.items() if not torch.equal(tensor, a.G_ema.tensors[name])
    }
    assert changed == {"synthesis.layers.1", "synthesis.layers.1.affine"}
    assert resized(a, 32).G_ema.tensors.keys() == a.G_ema.tensors.keys()


def test_the_rgb_layer_of_r3gan_belongs_to_the_highest_resolution() -> None:
    """Each synthesis tensor belongs to exactly one of 4, 8 and 16 px."""
    a, b = made_r3gan(), made_r3gan()
    changed = []
    for r in (4, 8, 16):
        found = blended(a, b, r, r).G_ema.tensors
        changed.append({name for name, t in found.items() if not torch.equal(t, a.G_ema.tensors[name])})
    assert [("synthesis.to_rgb.weight" in names) for names in changed] == [False, False, True]
    synthesis = [name for name in a.G_ema.tensors if name.startswith("synthesis.")]
    assert sorted(name for names in changed for name in names) == sorted(synthesis)


def test_discriminators_keep_the_layers_that_exist() -> None:
    D = DISCRIMINATORS["stylegan2"](resolution=16, channel_base=64, channel_max=8)
    settings = {"resolution": 16, "channels": 3, "num_classes": 0, "channel_base": 64, "channel_max": 8}
    model = replace(made("stylegan2"), D=Weights("stylegan2", settings, D.state_dict()))
    larger = resized(model, 32).D
    assert larger is not None
    assert torch.equal(larger.tensors["blocks.8.conv0.weight"], D.state_dict()["blocks.8.conv0.weight"])
    DISCRIMINATORS["stylegan2"](**larger.settings).load_state_dict(larger.tensors)


def test_a_run_is_enlarged_and_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`convert` of a run writes all networks; `init=` trains them on larger images."""
    assert train(tmp_path / "run", "total_kimg=0.016") == 0
    out = tmp_path / "large.safetensors"
    assert main(["convert", f"source={tmp_path / 'run'}", f"out={out}", "resolution=64"]) == 0
    assert "px to 64 px" in capsys.readouterr().out
    assert set(read_weights(out.with_suffix(".ckpt")).networks) == {"G", "D", "G_ema"}
    snapshot = load_snapshot(out)
    assert snapshot.generator.resolution == 64
    assert not {"data", "dataset", "fingerprint"} & set(snapshot.info)
    assert snapshot.info["surgery"]["file"] == "last.ckpt"
    data = write_folder(tmp_path / "data", {f"{i}.png": encode(i, (64, 64)) for i in range(8)})
    settings = ["total_kimg=0.008", "sample_count=4", "logger.mode=disabled", "threads=1", "figures=false"]
    settings += ["evaluation=none", "compile=false", "trainer.accelerator=cpu", f"init={out.with_suffix('.ckpt')}"]
    assert main(["train", f"data.path={data}", f"output_dir={tmp_path / 'next'}", *settings]) == 0


def test_a_growing_run_keeps_its_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its checkpoint's level; its newest snapshot may be older, and counts for a run without checkpoints only."""
    run, settings = tmp_path / "run", ["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1"]
    settings += ["growth.stable_kimg=0.016", "growth.fade_kimg=0.016", "growth.batch_sizes=[8]", "total_kimg=0.04"]
    settings += ["checkpoint_every_kimg=0.008", "snapshot_every_kimg=0.016", "checkpoints=9"]
    assert train(run, *settings) == 0
    sources = {run / "checkpoints" / "000000.024.ckpt": 24, run: 40, run / "snapshots" / "000000.016.safetensors": 16}
    for number, (source, seen) in enumerate(sources.items()):
        out = tmp_path / f"{number}.safetensors"
        assert main(["convert", f"source={source}", f"out={out}", "resolution=32"]) == 0
        found = load_snapshot(out)
        assert found.generator.level == {24: Level(16, 0.5), 40: Level(16), 16: Level(8)}[seen]
        assert found.info["images_seen"] == seen
        assert found.info["stylegen"]
    shutil.rmtree(run / "checkpoints")
    assert main(["convert", f"source={run}", f"out={tmp_path / 'x.safetensors'}", "resolution=32"]) == 0
    for setting in ("source=portraits64 blend", "source"):
        (run / "snapshots").rename(run / "away")
        assert main(["convert", *f"{setting}={run}".split(), "out=x.safetensors", "resolution=32"]) == 2
        assert f"error: {setting.split()[-1]}={run}: this folder holds no" in capsys.readouterr().err
        (run / "away").rename(run / "snapshots")
    assert main(["convert", f"source={run}", f"out={tmp_path / 'x.safetensors'}", "resolution=32"]) == 0
    assert "the run has no checkpoint, so G and D are left out" in capsys.readouterr().out
    assert load_snapshot(tmp_path / "x.safetensors").generator.level == Level(16)


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"out={tmp_path / 'x.safetensors'}"
    for settings, message in (
        ([], "is already a snapshot of stylegen"),
        (["resolution=48"], "a power of two"),
        (["resolution=2048"], "resolution=2048: its feature maps allow at most 1024 px"),
        (["blend=portraits64", "layers=coarse"], "range of resolutions"),
        (["blend=portraits64", "layers=64-16"], "the lower resolution must come first. Use layers=16-64"),
        (["blend=portrait64"], "Did you mean blend=portraits64?"),
        (["sha256=00", "resolution=32"], "SHA-256"),
    ):
        assert message in refused(["convert", "source=portraits64", out, *settings], tmp_path, capsys)
    assert not list(tmp_path.iterdir())
