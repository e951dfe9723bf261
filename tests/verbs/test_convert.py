"""`python -m stylegen convert` from the command line: files, messages, errors, and what the results are used for."""

import hashlib
from pathlib import Path

import pytest
import torch

from stylegen.__main__ import main
from stylegen.checkpoints.importers.foreign_kinds import import_model
from stylegen.checkpoints.importers.foreign_model import ForeignModel
from stylegen.checkpoints.sealed import save_sealed
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.checkpoints.transfer import read_weights, transfer
from stylegen.config.initial_networks import initial_networks
from stylegen.errors import UserError
from stylegen.losses.nonsaturating import Nonsaturating
from stylegen.networks import DISCRIMINATORS, build_generator
from tests.support.datasets import encode, write_folder
from tests.support.foreign_files import dump, module_of, nvidia_file
from tests.support.golden import assert_output, files, load
from tests.support.hostile_pickles import CALLS, MARKER, program
from tests.support.runs import refused

GOLDEN = load(next(f.values[0] for f in files("stylegan2") if "conditional" in str(f.values[0])))


def convert(source: Path, out: Path) -> int:
    return main(["convert", f"source={source}", f"out={out}"])


def test_report_and_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = nvidia_file(GOLDEN, tmp_path / "netwörk (1).pkl"), tmp_path / "x.safetensors"
    assert convert(source, out) == 0
    text, digest = capsys.readouterr().out, hashlib.sha256(source.read_bytes()).hexdigest()
    for part in (
        "NVIDIA StyleGAN2 (PyTorch)",
        "stylegan2, 16x16 px, 3 channels, 5 classes",
        digest,
        "training_set_kwargs",
    ):
        assert part in text
    snapshot = load_snapshot(out)
    size = sum(parameter.numel() for parameter in snapshot.generator.parameters())
    assert f"{size:,} parameters" in text
    assert snapshot.info["source"]["sha256"] == digest
    assert main(["sample", f"snapshot={out}", "seeds=0-1", "mode=grid", f"out={tmp_path / 'grid.png'}", "class=2"]) == 0
    assert (tmp_path / "grid.png").exists()


def test_the_weights_start_a_training(tmp_path: Path) -> None:
    """`init=` copies G, D and G_ema: the first losses are the reference's."""
    assert convert(nvidia_file(GOLDEN, tmp_path / "x.pkl"), tmp_path / "x.safetensors") == 0
    weights = read_weights(tmp_path / "x.ckpt")
    snapshot = load_snapshot(tmp_path / "x.safetensors").generator
    G, G_ema = (build_generator("stylegan2", **snapshot.settings) for _ in range(2))
    D = DISCRIMINATORS["stylegan2"](
        resolution=16, num_classes=5, channel_base=256, channel_max=16, conv_clamp=256, mbstd_group_size=4
    )
    transfer(weights, {"G": G, "D": D, "G_ema": G_ema}, {"G": (), "D": (), "G_ema": ()}, {})
    assert torch.equal(G.synthesis.blocks["4"].const, 1.5 * GOLDEN["G.synthesis.b4.const"])
    c = GOLDEN["in.c"]
    fake, real = D.outputs(G_ema(GOLDEN["in.z"], c), c), D.outputs(GOLDEN["in.real"], c)
    assert_output(Nonsaturating().generator(fake), GOLDEN["out.loss_G"])
    assert_output(Nonsaturating().discriminator(real, fake), GOLDEN["out.loss_D"])


@pytest.mark.parametrize("name", ["x.ckpt", "x.pkl"])
def test_a_run_has_the_networks_of_the_weights(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`init=` alone, with the file or its conversion: architecture, widths and classes are the foreign networks'."""
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "cache"))
    golden = load(next(f.values[0] for f in files("stylegan2") if "resnet_skip" in str(f.values[0])))
    assert convert(nvidia_file(golden, tmp_path / "x.pkl"), tmp_path / "x.safetensors") == 0
    data = write_folder(tmp_path / "data", {f"{i}.png": encode(i, (16, 16)) for i in range(8)})
    settings = ["total_kimg=0.008", "sample_count=4", "logger.mode=disabled", "threads=1", "figures=false"]
    settings += ["evaluation=none", "compile=false", "trainer.accelerator=cpu", f"init={tmp_path / name}"]
    assert main(["train", f"data.path={data}", f"output_dir={tmp_path / 'run'}", *settings]) == 0
    assert "initializes the generator and discriminator" in capsys.readouterr().err
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "architecture: resnet" in config
    assert "architecture: skip" in config


def test_a_checkpoint_sets_nothing_but_its_networks(tmp_path: Path) -> None:
    """What a file describes becomes settings of a run, so only networks within their bounds are read."""
    assert convert(nvidia_file(GOLDEN, tmp_path / "x.pkl"), tmp_path / "x.safetensors") == 0
    content = torch.load(tmp_path / "x.ckpt", weights_only=True)
    described = content["networks"]
    assert initial_networks(str(tmp_path / "x.ckpt")).settings == described
    for wrong in (
        described | {"generator": described["generator"] | {"foo": 1}},
        described | {"generator": described["generator"] | {"w_dim": -1}},
        described | {"generator": described["generator"] | {"w_dim": torch.zeros(1)}},
        described | {"generator": described["generator"] | {"name": "foo"}},
        {"generator": described["generator"]},
        ["generator"],
    ):
        with (tmp_path / "y.ckpt").open("wb") as file:
            save_sealed(content | {"networks": wrong}, file)
        with pytest.raises(UserError, match="describes its networks otherwise"):
            read_weights(tmp_path / "y.ckpt")
        assert initial_networks(str(tmp_path / "y.ckpt")).overrides() == {}
    with (tmp_path / "y.ckpt").open("wb") as file:
        save_sealed(content | {"networks": described | {"output_dir": {"name": "/"}}}, file)
    assert initial_networks(str(tmp_path / "y.ckpt")).settings == described


def test_nothing_is_replaced_that_was_not_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The source itself, by the weights beside the snapshot or by a link; a folder."""
    source = nvidia_file(GOLDEN, tmp_path / "x.ckpt")
    (tmp_path / "y.safetensors").symlink_to(source)
    (tmp_path / "z.ckpt").mkdir()
    for name, message in (("x", "x.ckpt is the source"), ("y", "is the source"), ("z", "z.ckpt is a folder")):
        arguments = ["convert", f"source={source}", f"out={tmp_path / name}.safetensors"]
        assert message in refused(arguments, tmp_path, capsys)


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SHA-256 in the snapshot is computed from the imported bytes."""
    source = nvidia_file(GOLDEN, tmp_path / "x.pkl")

    def appended(path: Path, setting: str) -> ForeignModel:
        model = import_model(path, setting)
        path.write_bytes(path.read_bytes() + b" ")
        return model

    monkeypatch.setattr("stylegen.checkpoints.convert_foreign.import_model", appended)
    command = ["convert", f"source={source}", f"out={tmp_path / 'x.safetensors'}"]
    assert "it changed while it was read" in refused(command, tmp_path, capsys)


def test_other_content_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by the snapshot nor by the weights beside it; the same content is."""
    source, out = nvidia_file(GOLDEN, tmp_path / "x.pkl"), tmp_path / "y.safetensors"
    packaged = load_snapshot("portraits64").path
    again = ["convert", f"source={source}", f"out={out}"]
    blend = ["convert", "source=portraits64", "blend=portraits64", f"out={out}"]
    out.write_bytes(packaged.read_bytes())
    assert "y.safetensors: it exists with other content" in refused(again, tmp_path, capsys)
    assert "is the source" in refused([*blend[:2], f"blend={out}", blend[-1]], tmp_path, capsys)
    out.unlink()
    out.with_suffix(".ckpt").write_bytes(b"mine")
    assert "y.ckpt: it exists with other content" in refused(again, tmp_path, capsys)
    assert "y.ckpt holds other networks" in refused(blend, tmp_path, capsys)
    out.with_suffix(".ckpt").unlink()
    assert main(again) == main(again) == 0


def test_surgery_keeps_the_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The foreign file, not its conversion in the cache; commands are quoted for a shell."""
    source, out = nvidia_file(GOLDEN, tmp_path / "x.pkl"), tmp_path / "a b.safetensors"
    assert main(["convert", f"source={source}", f"out={out}", f"blend={source}", "layers=8-16"]) == 0
    text, digest = capsys.readouterr().out, hashlib.sha256(source.read_bytes()).hexdigest()
    changes = load_snapshot(out).info["surgery"]
    assert (changes["file"], changes["sha256"]) == ("x.pkl", digest)
    assert changes["program"].startswith("NVIDIA StyleGAN2")
    assert f"sha256 {digest}" in text
    assert "note: G and D left out" in text
    assert f"python sample.py 'snapshot={out}'" in text


def test_both_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    source = nvidia_file(GOLDEN, tmp_path / "x.pkl")
    monkeypatch.setattr("stylegen.checkpoints.convert_foreign.save_weights", full_disk)
    assert convert(source, tmp_path / "x.safetensors") == 1
    assert list(tmp_path.iterdir()) == [source]


def test_names_in_a_file_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = module_of(GOLDEN.part("G."), GOLDEN.config["generator"], "Generator", "")
    source = dump({"G_ema": module, "\x1b[2J\n\udc80": 1}, tmp_path / "x.pkl")
    assert convert(source, tmp_path / "x.safetensors") == 0
    assert r"note: \x1b[2J\n\udc80 left out" in capsys.readouterr().out


def test_a_generator_alone(tmp_path: Path) -> None:
    module = module_of(GOLDEN.part("G."), GOLDEN.config["generator"], "Generator", "")
    assert convert(dump({"G_ema": module}, tmp_path / "x.pkl"), tmp_path / "x.safetensors") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"x.pkl", "x.safetensors"}


def test_hostile_and_unusable_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, status 2, nothing written, nothing executed."""
    hostile, out = tmp_path / "x.pkl", tmp_path / "x.safetensors"
    hostile.write_bytes(program(bytes(CALLS["os.system"](hostile))))
    for source, message in ((hostile, "os.system"), (tmp_path / "none.pkl", "no such file"), (tmp_path, "directory")):
        assert message in refused(["convert", f"source={source}", f"out={out}"], tmp_path, capsys)
    valid = nvidia_file(GOLDEN, tmp_path / "y.pkl")
    assert "safetensors file" in refused(["convert", f"source={valid}", f"out={tmp_path / 'x.png'}"], tmp_path, capsys)
    assert not (tmp_path / MARKER).exists()
