"""Files of other programs, in their structure, import as networks that give the golden outputs."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers.foreign_kinds import import_model
from stylegen.checkpoints.importers.foreign_model import ForeignModel, channel_settings, save_weights
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.errors import UserError
from stylegen.latent.truncation import truncate
from stylegen.networks import DISCRIMINATORS, build_generator
from tests.support import foreign_files
from tests.support.foreign_files import dump
from tests.support.golden import Golden, assert_output, files, load

STYLEGAN1, STYLEGAN2 = files("stylegan1"), files("stylegan2")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return load(request.param)


def labeled(golden: Golden) -> bool:
    return "in.c" in golden.tensors


@torch.no_grad()
def assert_golden(model: ForeignModel, golden: Golden, path: Path, prefix: str = "out.img") -> None:
    """Images and logits of the imported networks, through a snapshot file."""
    save_weights(path, model.G_ema, {"images_seen": 0})
    generator, c = load_snapshot(path).generator, golden.tensors.get("in.c")
    ws = generator.mapping(golden["in.z"], c).unsqueeze(1).repeat(1, generator.num_ws, 1)
    truncated = truncate(ws, generator.mapping.w_avg, psi=0.7, cutoff=4)
    assert_output(truncated, golden["out.ws_truncated"])
    if generator.name == "stylegan2":
        assert_output(generator.synthesis(ws), golden["out.img_noise_const"])
        assert_output(generator.synthesis(ws, noise="none"), golden["out.img_noise_none"])
        assert_output(generator.synthesis(truncated), golden["out.img_truncated"])
        logits = golden["out.logits_real"]
    else:
        assert_output(generator.synthesis(ws), golden["out.img_lod_0"])
        assert_output(generator.synthesis(truncated), golden["out.img_truncated_lod_0"])
        logits = golden["out.logits_lod_0"]
    if model.D is not None:
        discriminator = DISCRIMINATORS[model.D.network](**model.D.settings)
        discriminator.load_state_dict(model.D.tensors)
        assert_output(discriminator(golden["in.real"], c), logits)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("golden", STYLEGAN2, indirect=True)
def test_nvidia_pytorch(golden: Golden, protocol: int, tmp_path: Path) -> None:
    """The embedded source would write a file; conv_clamp comes from an attribute, as in stylegan3's files."""
    written = tmp_path / "written"
    source = f"from pathlib import Path; Path({str(written)!r}).touch()"
    path = foreign_files.nvidia_file(golden, tmp_path / "x.pkl", protocol, source)
    model = import_model(path)
    assert not written.exists()
    assert_golden(model, golden, tmp_path / "x.safetensors")
    assert model.G_ema.settings["conv_clamp"] == 256
    assert model.G is not None
    assert model.G.settings == model.G_ema.settings
    assert torch.equal(model.G.tensors["synthesis.blocks.4.const"], golden["G.synthesis.b4.const"] * 1.5)
    assert model.D is not None
    assert any("training_set_kwargs" in note for note in model.notes)


@pytest.mark.parametrize("zip_archive", [True, False])
def test_rosinality(zip_archive: bool, tmp_path: Path) -> None:
    golden = load(next(f.values[0] for f in STYLEGAN2 if "skip_resnet" in str(f.values[0])))
    content: dict[str, Any] = {
        "g_ema": foreign_files.rosinality_names(golden.part("G.")),
        "d": foreign_files.rosinality_discriminator_names(golden.part("D.")),
        "latent_avg": golden["G.mapping.w_avg"],
        "args": Namespace(size=32, path="data"),
        "g_optim": {"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.002}]},
    }
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zip_archive)
    model = import_model(tmp_path / "x.pt")
    assert model.D is not None
    assert_golden(model, golden, tmp_path / "x.safetensors")
    del content["latent_avg"]
    torch.save(content, tmp_path / "y.pt")
    computed = import_model(tmp_path / "y.pt")
    assert any("4,096 latents" in note for note in computed.notes)
    found = load_snapshot_mean(computed, tmp_path)
    spread = found[1].std(dim=0)
    assert ((computed.G_ema.tensors["mapping.w_avg"] - found[1].mean(dim=0)).abs() < 0.2 * spread + 1e-6).all()
    content["g_ema"]["convs.0.conv.blur.kernel"] = torch.ones(4, 4)
    torch.save(content, tmp_path / "z.pt")
    with pytest.raises(UserError, match=r"blur.kernel.*not \[1, 3, 3, 1\]"):
        import_model(tmp_path / "z.pt")
    content["g_ema"]["step"] = 7
    torch.save(content, tmp_path / "step.pt")
    with pytest.raises(UserError, match="step of the file: must be a tensor, not int"):
        import_model(tmp_path / "step.pt")


@torch.no_grad()
def load_snapshot_mean(model: ForeignModel, folder: Path) -> tuple[Any, Tensor]:
    save_weights(folder / "mean.safetensors", model.G_ema, {})
    generator = load_snapshot(folder / "mean.safetensors").generator
    z = torch.randn(4096, generator.z_dim, generator=torch.Generator().manual_seed(0))
    return generator, generator.mapping(z)


@pytest.mark.parametrize("golden", STYLEGAN2, indirect=True)
def test_tensorflow_stylegan2(golden: Golden, tmp_path: Path) -> None:
    model = import_model(dump(foreign_files.tensorflow_stylegan2(golden), tmp_path / "x.pkl"))
    assert_golden(model, golden, tmp_path / "x.safetensors")
    assert model.D is not None


@pytest.mark.parametrize("golden", STYLEGAN1, indirect=True)
def test_tensorflow_stylegan1(golden: Golden, tmp_path: Path) -> None:
    model = import_model(dump(foreign_files.tensorflow_stylegan1(golden), tmp_path / "x.pkl"))
    assert_golden(model, golden, tmp_path / "x.safetensors")
    assert model.G_ema.level is None


def test_tensorflow_stylegan1_while_it_grows(tmp_path: Path) -> None:
    golden = load(next(f.values[0] for f in STYLEGAN1 if "stylegan1_32" in str(f.values[0])))
    golden.tensors["G.synthesis.lod"] = torch.tensor(0.3)
    model = import_model(dump(foreign_files.tensorflow_stylegan1(golden), tmp_path / "x.pkl"))
    save_weights(tmp_path / "x.safetensors", model.G_ema, {})
    generator = load_snapshot(tmp_path / "x.safetensors").generator
    with torch.no_grad():
        images = generator(golden["in.z"])
    assert_output(images, golden["out.img_lod_0.3"])


# Shapes do not show `fused_scale`; GenForce's files have its default, fused from 128 px on.
@pytest.mark.parametrize("golden", [f for f in STYLEGAN1 if "fused" not in str(f.values[0])], indirect=True)
def test_genforce_stylegan1(golden: Golden, tmp_path: Path) -> None:
    state = {"generator_smooth": golden.part("G."), "generator": golden.part("G."), "discriminator": golden.part("D.")}
    state["generator"]["synthesis.layer2.blur.kernel"] = torch.ones(3, 3)
    torch.save(state, tmp_path / "x.pth")
    assert_golden(import_model(tmp_path / "x.pth"), golden, tmp_path / "x.safetensors")
    torch.save({"models": {"generator": golden.part("G.")}, "optimizers": {}}, tmp_path / "y.pth")
    model = import_model(tmp_path / "y.pth")
    assert model.D is None
    assert any("no average" in note for note in model.notes)
    assert_golden(model, golden, tmp_path / "y.safetensors")


@pytest.mark.parametrize("golden", [f for f in STYLEGAN2 if "skip_resnet" in str(f.values[0])], indirect=True)
def test_genforce_stylegan2(golden: Golden, tmp_path: Path) -> None:
    state = {
        "generator_smooth": foreign_files.genforce_stylegan2_names(golden.part("G.")),
        "discriminator": foreign_files.genforce_stylegan2_discriminator_names(golden.part("D.")),
    }
    torch.save(state, tmp_path / "x.pth")
    model = import_model(tmp_path / "x.pth")
    assert model.D is not None
    assert_golden(model, golden, tmp_path / "x.safetensors")
    state["generator_smooth"]["mapping.label_weight"] = torch.zeros(3, 24)
    torch.save(state, tmp_path / "y.pth")
    with pytest.raises(UserError, match="concatenates labels"):
        import_model(tmp_path / "y.pth")


@pytest.mark.parametrize(
    ("extra", "message"),
    [("mapping/LabelConcat/weight", "concatenates labels"), ("synthesis/ToRGB_lod0/weight", "grow progressively")],
)
def test_other_networks_of_tensorflow_stylegan2(extra: str, message: str, tmp_path: Path) -> None:
    variables = {"synthesis/4x4/Conv/mod_weight": np.zeros(1, np.float32), extra: np.zeros(1, np.float32)}
    network = foreign_files.tensorflow_network(variables, {"resolution": 8}, "G_main")
    with pytest.raises(UserError, match=message):
        import_model(dump((network, network, network), tmp_path / "x.pkl"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mapping_kwargs": {"lr_multiplier": 0.1}}, "lr_multiplier"),
        ({"epilogue_kwargs": {"activation": "relu"}}, "activation of a part"),
        ({"augment": True}, "augment=true"),
    ],
)
def test_a_discriminator_that_is_left_out(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    golden = load(next(f.values[0] for f in STYLEGAN2 if "conditional" in str(f.values[0])))
    golden.config["discriminator"] |= change
    model = import_model(foreign_files.nvidia_file(golden, tmp_path / "x.pkl"))
    assert model.D is None
    assert any("D left out" in note and message in note for note in model.notes)


def nvidia(golden: Golden, path: Path, change: Any) -> Path:
    """A file of NVIDIA's PyTorch code whose G_ema has changed tensors."""
    state = golden.part("G.")
    change(state)
    module = foreign_files.module_of(state, golden.config["generator"], "Generator", "")
    return dump({"G": None, "D": None, "G_ema": module}, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("synthesis.b8.conv0.weight"), "missing synthesis.blocks.8.conv0.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda state: state.update({"mapping.w_avg": torch.zeros(3)}), r"mapping.w_avg \[3\] instead of"),
        (lambda state: state["mapping.w_avg"].fill_(torch.nan), "not finite"),
        (lambda state: state.update({"mapping.w_avg": state["mapping.w_avg"].double() + 1e300}), "not finite"),
        (lambda state: state.update({"mapping.w_avg": state["mapping.w_avg"].long()}), "type torch.int64"),
        (lambda state: state.pop("synthesis.b4.const"), "neither StyleGAN2's generator nor StyleGAN3's"),
        (lambda state: state.update({f"x{k}": torch.zeros(1) for k in range(9)}), "x0, x1, x2 and 6 more"),
    ],
)
def test_tensors_that_do_not_fit(change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as error:
        import_model(nvidia(load(STYLEGAN2[0].values[0]), tmp_path / "x.pkl", change))
    assert "\n" not in str(error.value)


def test_both_sides_are_named(tmp_path: Path) -> None:
    def change(state: dict[str, Tensor]) -> None:
        state["synthesis.b8.conv0.weigth"] = state.pop("synthesis.b8.conv0.weight")

    with pytest.raises(UserError, match=r"missing synthesis.blocks.8.conv0.weight; unexpected synthesis.blocks.8"):
        import_model(nvidia(load(STYLEGAN2[0].values[0]), tmp_path / "x.pkl", change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"GAN": {"GE.blocks.0.to_style1.weight": torch.zeros(1)}, "version": "1"}, "lucidrains.*bilinear"),
        ({"generator": {"layer0.weight": torch.zeros(1)}}, "GenForce's layout"),
        ({"state_dict": {}, "pytorch-lightning_version": "2"}, "another training program"),
        ({"a": 1}, "dict of a"),
        ([1, 2], "holds a list"),
    ],
)
def test_other_programs_are_named_and_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UserError, match=message):
        import_model(tmp_path / "x.pt")


@pytest.mark.parametrize("name", ["synthesis.layer99999999999.bias", "synthesis.output99999999999.weight"])
def test_impossible_layer_numbers(name: str, tmp_path: Path) -> None:
    """Resolutions are powers of two of the layer's number."""
    golden = load(next(f.values[0] for f in STYLEGAN1 if "stylegan1_32" in str(f.values[0])))
    torch.save({"generator": golden.part("G.") | {name: torch.zeros(1)}}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="99999999999"):
        import_model(tmp_path / "x.pth")


@pytest.mark.parametrize("path", files("stylegan3"))
def test_stylegan3(path: Path, tmp_path: Path) -> None:
    """Settings by keyword and position, filters checked, G_ema the golden network."""
    golden = load(path)
    arguments, state = golden.config["generator"], golden.part("G.")
    model = import_model(
        dump({"G_ema": foreign_files.module_of(state, arguments, "Generator", "")}, tmp_path / "x.pkl")
    )
    assert (model.kind, model.G_ema.network, model.D) == ("NVIDIA StyleGAN3 (PyTorch)", "stylegan3", None)
    generator = build_generator(model.G_ema.network, **model.G_ema.settings)
    generator.load_state_dict(model.G_ema.tensors)
    ws = generator.mapping(golden["in.z"]).unsqueeze(1).repeat(1, generator.num_ws, 1)
    assert_output(generator.synthesis(ws), golden["out.img"])
    name = next(name for name in state if name.endswith("up_filter"))
    for change, message in (
        ({name: state[name] * 1.01}, "does not follow from the network's settings"),
        ({name.replace("up_filter", "noise"): torch.zeros(1)}, "unexpected synthesis.layers.0.noise"),
    ):
        module = foreign_files.module_of(state | change, arguments, "Generator", "")
        with pytest.raises(UserError, match=message):
            import_model(dump({"G_ema": module}, tmp_path / "y.pkl"))


def test_channel_settings() -> None:
    assert channel_settings({4: 16, 8: 16, 16: 16, 32: 8}) == {"channel_base": 256, "channel_max": 16}
    assert channel_settings({4: 512, 8: 512}) == {"channel_base": 4096, "channel_max": 512}
    with pytest.raises(UserError, match="channel_base"):
        channel_settings({4: 16, 8: 12, 16: 16})
