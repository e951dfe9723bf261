"""`init`, `freeze_d` and learning rate schedules, from the command line to the weights."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.__main__ import main
from stylegen.config.compose import compose_config
from stylegen.config.yaml_file import load_yaml
from tests.support.runs import refused
from tests.support.tiny import TINY_RUN, tiny_generator


def command(folder: Path, *overrides: str) -> list[str]:
    return ["train", *TINY_RUN, f"output_dir={folder}", "total_kimg=0.016", *overrides]


def train(folder: Path, *overrides: str) -> int:
    return main(command(folder, *overrides))


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["weights"]
    return state


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "source"
    assert train(folder, "total_kimg=0.032") == 0
    return folder


# Learning rates so small that the final weights equal the initial ones.
STILL = ["optimizer.g_lr=1e-30", "optimizer.d_lr=1e-30"]


def changed(before: dict[str, Tensor], after: dict[str, Tensor], part: str) -> set[str]:
    names = {name for name in after if name.startswith(f"{part}.") and not name.endswith("w_avg")}
    return {name for name in names if name not in before or not torch.equal(before[name], after[name])}


def test_a_run_folder_gives_all_three_networks(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "new", f"init={source}", "seed=1", *STILL) == 0
    assert "initializes the generator and discriminator" in capsys.readouterr().err
    before, after = weights(source), weights(tmp_path / "new")
    assert not changed(before, after, "G")
    assert not changed(before, after, "D")
    checkpoint = torch.load(tmp_path / "new" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["clock"]["images_seen"] == 16


def test_the_trained_average_outlives_the_first_step(source: Path, tmp_path: Path) -> None:
    """G_ema moves toward G by 1 - 0.5^(batch / half-life), 8 images of 10,000."""
    assert train(tmp_path / "new", f"init={source}", "seed=1", "total_kimg=0.008") == 0
    assert load_yaml(tmp_path / "new" / "config.yaml")["ema"]["rampup"] is None
    before, after = weights(source), weights(tmp_path / "new")
    names = [f"G_ema.{name}" for name, _ in tiny_generator().named_parameters()]
    for name in names:
        expected = after[name.replace("G_ema.", "G.")].lerp(before[name], 0.5 ** (8 / 10_000))
        torch.testing.assert_close(after[name], expected, msg=name)
    assert changed(before, after, "G") & {name.replace("G_ema.", "G.") for name in names}


@pytest.mark.parametrize(
    ("overrides", "rampup"),
    [
        (["experiment=auto", "data.path=openmoji"], None),
        (["experiment=cifar10_conditional", "data.path=x"], None),
        (["experiment=none"], None),
        (["experiment=none", "ema.rampup=0.1"], 0.1),
        (["experiment=none", "init=null"], 0.05),
    ],
)
def test_trained_weights_start_without_ramp_up_unless_one_is_given(overrides: list[str], rampup: float | None) -> None:
    assert compose_config("train", ["init=x", *overrides]).ema.rampup == rampup


def test_trained_weights_start_without_the_recipe_s_rise_of_the_half_life() -> None:
    recipe = ["experiment=ffhq256_r3gan", "data.path=x"]
    rises = [compose_config("train", [*recipe, *given]).ema.ramp_kimg for given in ([], ["init=x"])]
    assert rises == [20000, 0]
    assert compose_config("train", [*recipe, "init=x", "ema.ramp_kimg=5"]).ema.ramp_kimg == 5


def test_a_snapshot_gives_the_generator(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = next((source / "snapshots").glob("*.safetensors"))
    assert train(tmp_path / "new", f"init={snapshot}", "seed=1", *STILL) == 0
    assert "holds no discriminator" in capsys.readouterr().err
    before, after = weights(source), weights(tmp_path / "new")
    average = {name.replace("G_ema.", "G."): t for name, t in before.items() if name.startswith("G_ema.")}
    assert not changed(average, after, "G")
    assert changed(before, after, "D")


def test_labels_may_be_new(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "new", f"init={source}", "data.use_labels=true", *STILL) == 0
    note = capsys.readouterr().err
    dependent = {"G.mapping.embed.weight", "G.mapping.layers.0.weight", "D.epilogue.out.weight", "D.mapping.embed.bias"}
    assert all(name in note for name in dependent)
    kept = changed(weights(source), weights(tmp_path / "new"), "G")
    assert kept == {f"G.mapping.{name}" for name in ("embed.weight", "embed.bias", "layers.0.weight")}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["generator.channel_max=4"], "G.synthesis"),
        (["generator.mapping_layers=3"], "mapping.layers.2"),
        (["generator.activation=relu"], "generator.activation is lrelu in the file and relu here"),
        (["discriminator.architecture=orig"], "resnet in the file and orig here"),
    ],
)
def test_another_architecture_is_refused(
    overrides: list[str], message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(command(tmp_path / "new", f"init={source}", *overrides), tmp_path, capsys)
    assert message in error
    assert "mismatch" in error


def test_no_numbered_folder_is_made_for_weights_that_do_not_fit(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for init in ("/nowhere", str(tmp_path), str(source / "config.yaml")):
        assert main(["train", *TINY_RUN, f"init={init}"]) == 2
    assert not list(tmp_path.iterdir())


def test_a_continued_run_does_not_read_it_again(source: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.ckpt"
    gone.write_bytes((source / "checkpoints" / "last.ckpt").read_bytes())
    assert train(tmp_path / "new", f"init={gone}") == 0
    gone.unlink()
    assert train(tmp_path / "new", f"init={gone}", "total_kimg=0.024") == 0


@pytest.mark.parametrize("count", [0, 3])
def test_exactly_the_frozen_layers_stay(count: int, source: Path, tmp_path: Path) -> None:
    run = [f"init={source}", f"freeze_d={count}", "regularizers=r1_path_length"]
    assert train(tmp_path / "new", *run) == 0
    assert train(tmp_path / "new", *run, "total_kimg=0.032") == 0  # continues
    before, after = weights(source), weights(tmp_path / "new")
    frozen = {f"D.blocks.16.{layer}." for layer in ("from_rgb", "conv0", "conv1")} if count else set()
    stayed = {name for name in after if name.startswith("D.")} - changed(before, after, "D")
    assert stayed == {name for name in after if name.startswith(tuple(frozen))}


def test_more_layers_than_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(command(tmp_path / "new", "freeze_d=8"), tmp_path, capsys)
    assert "freeze_d=8: this discriminator has 7 freezable layers" in message


def test_random_layers_are_not_frozen(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = source / "snapshots" / "000000.032.safetensors"
    for init in ("null", str(snapshot)):
        message = refused(command(tmp_path / "new", "freeze_d=3", f"init={init}"), tmp_path, capsys)
        assert "the frozen layers would keep random weights" in message


def test_rates_move_and_a_continued_run_has_the_same(tmp_path: Path) -> None:
    run = ["optimizer.rampup_kimg=0.032", "log_every_kimg=0.008", "checkpoint_every_kimg=0.016"]
    run += ["optimizer.decay=linear", "optimizer.decay_start_kimg=0.032", "optimizer.decay_kimg=0.032"]
    assert train(tmp_path / "whole", *run, "total_kimg=0.048") == 0
    assert train(tmp_path / "parts", *run) == 0
    assert train(tmp_path / "parts", *run, "total_kimg=0.048") == 0
    records = [json.loads(line) for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    assert [r["lr/G"] for r in records] == pytest.approx([0.0025 * f for f in (0, 0.25, 0.5, 0.75, 1, 0.75)])
    assert not changed(weights(tmp_path / "whole"), weights(tmp_path / "parts"), "G")
