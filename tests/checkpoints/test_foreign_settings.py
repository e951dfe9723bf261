"""Settings of foreign files that are no settings, or that do not fit each other or the tensors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stylegen.checkpoints.importers.foreign_kinds import import_model
from stylegen.errors import UserError
from tests.support import foreign_files
from tests.support.foreign_files import dump
from tests.support.golden import files, load

STYLEGAN2 = files("stylegan2")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"foo": torch.zeros(2)}, "foo: must be a string, a 64-bit number or a list, not Tensor"),
        ({"mapping_kwargs": {"foo": [torch.zeros(2)]}}, "foo: must be a string"),
        ({"img_resolution": 10**25}, "img_resolution: must be a string"),
        ({"conv_clamp": -1}, "conv_clamp=-1"),
        ({"\x1b[2J": 1}, r"\\x1b\[2J=1: this setting"),
    ],
)
def test_settings_that_are_not_plain(setting: dict[str, Any], message: str, tmp_path: Path) -> None:
    golden = load(STYLEGAN2[0].values[0])
    module = foreign_files.module_of(golden.part("G."), golden.config["generator"] | setting, "Generator", "")
    variables = {"synthesis/4x4/Conv/mod_weight": np.zeros(1, np.float32)}
    network = foreign_files.tensorflow_network(variables, setting, "G_main")
    for content in ({"G_ema": module}, (network, network, network))[: 2 if "no text" in message else 1]:
        with pytest.raises(UserError, match=message):
            import_model(dump(content, tmp_path / "x.pkl"))


def test_more_arguments_than_published(tmp_path: Path) -> None:
    golden = load(STYLEGAN2[0].values[0])
    module = foreign_files.module_of(golden.part("G."), {}, "Generator", "")
    module.state["_init_args"] = tuple(range(8))
    with pytest.raises(UserError, match="it has 8, not at most 7"):
        import_model(dump({"G_ema": module}, tmp_path / "x.pkl"))


def test_two_names_of_one_tensor(tmp_path: Path) -> None:
    """`Conv` and `Conv1` are the same layer, in networks of different architecture."""
    golden = load(STYLEGAN2[0].values[0])
    networks = foreign_files.tensorflow_stylegan2(golden)
    variables = networks[2].state["components"]["synthesis"].state["variables"]
    variables += [(name.replace("4x4/Conv/", "4x4/Conv1/"), value) for name, value in variables if "4x4/Conv/b" in name]
    with pytest.raises(UserError, match="unexpected synthesis/4x4/Conv1/bias"):
        import_model(dump(networks, tmp_path / "x.pkl"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("layer0.weight", "tensor layer0.weight: the network lacks it"), ("input3.weight", "tensor input3.bias")],
)
def test_a_discriminator_that_lacks_a_tensor(name: str, message: str, tmp_path: Path) -> None:
    """An error, unlike one that no network here can represent, which is left out."""
    golden = load(next(f.values[0] for f in files("stylegan1") if "stylegan1_32" in str(f.values[0])))
    state = {"generator": golden.part("G."), "discriminator": golden.part("D.")}
    del state["discriminator"][name]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(UserError, match=message):
        import_model(tmp_path / "x.pth")


def test_too_many_variables(tmp_path: Path) -> None:
    variables = {f"synthesis/{k}/mod_weight": 1.0 for k in range(20_001)}
    network = foreign_files.tensorflow_network(variables, {}, "G_main")
    with pytest.raises(UserError, match="more than 20,000 variables"):
        import_model(dump((network, network, network), tmp_path / "x.pkl"))


def test_networks_of_one_file_fit_each_other(tmp_path: Path) -> None:
    """G of other settings, and D of other classes."""
    golden, other = (
        load(next(f.values[0] for f in STYLEGAN2 if n in str(f.values[0]))) for n in ("conditional", "skip_resnet")
    )
    modules = {
        f"{part}{k}": foreign_files.module_of(own.part(f"{part}."), own.config[name], name.title(), "")
        for k, own in enumerate((golden, other))
        for part, name in (("G", "generator"), ("D", "discriminator"))
    }
    with pytest.raises(UserError, match="G and G_ema of the file: their settings differ"):
        import_model(dump({"G": modules["G1"], "G_ema": modules["G0"]}, tmp_path / "x.pkl"))
    with pytest.raises(UserError, match=r"they do not fit: \w+ \d+ of D, \d+ of G_ema"):
        import_model(dump({"D": modules["D1"], "G_ema": modules["G0"]}, tmp_path / "x.pkl"))


def test_half_precision_filters(tmp_path: Path) -> None:
    golden = load(next(f.values[0] for f in STYLEGAN2 if "skip_resnet" in str(f.values[0])))
    state = foreign_files.rosinality_names(golden.part("G."))
    state["convs.0.conv.blur.kernel"] = torch.outer(torch.tensor([1, 3, 3, 1]), torch.tensor([1, 3, 3, 1])).half()
    torch.save({"g_ema": state, "latent_avg": golden["G.mapping.w_avg"]}, tmp_path / "x.pt")
    assert import_model(tmp_path / "x.pt").G_ema.settings["resolution"] == golden.config["generator"]["img_resolution"]
