"""Invalid input: one clear message on standard error, status 2, nothing written."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.images import write_png
from tests.support.runs import refused
from tests.support.tiny import TINY_RUN, tiny_generator


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    save_snapshot(tmp_path / "run" / "snapshots" / "000001.000.safetensors", tiny_generator(), {"images_seen": 1000})
    return tmp_path / "run"


def write_images(folder: Path, *shapes: tuple[int, int, int]) -> Path:
    for i, shape in enumerate(shapes):
        write_png(folder / f"{i}.png", torch.full(shape, i, dtype=torch.uint8))
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([], "no images"),
        ([(3, 16, 16)] * 8 + [(3, 32, 32)], "same size"),
        ([(3, 16, 16)] * 8 + [(1, 16, 16)], "same size and channels"),
        ([(3, 24, 24)] * 9, "powers of two"),
        ([(3, 16, 16)] * 7, "fewer than one batch|batch"),
    ],
)
def test_data(shapes: list, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import re

    folder = write_images(tmp_path / "data", *shapes)
    arguments = [
        "train",
        *TINY_RUN,
        "experiment=openmoji",
        "data=images",
        f"data.path={folder}",
        f"output_dir={tmp_path / 'run'}",
    ]
    arguments = [a for a in arguments if a != "data.resolution=16"]
    assert re.search(message, refused(arguments, tmp_path, capsys))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["batch_size=6"], "mbstd_group_size=4"),
        (["batch_size=0"], "batch_size=0"),
        (["total_kimg=-1"], "total_kimg=-1"),
        (["data.resolution=24"], "24"),
        (["data.path=/nowhere/at/all"], "/nowhere/at/all"),
        (["trainer.accelerator=gpu"], "this machine has 0"),
        (["trainer.accelerator=abacus"], "abacus"),
        (["generator.architecture=skipp"], "Did you mean skip"),
        (["no.such.setting=1"], "no.such.setting"),
        (["generator=stylegan7"], "stylegan2"),
        (["evaluation.metrics=[fidd]"], "fid"),
        (["logger.mode=loud"], "logger.mode=loud"),
        (["regularizers.r1.every=0"], "every=0"),
        (["resume=/nowhere/last.ckpt"], "/nowhere/last.ckpt"),
        (["evaluation.batch_size=0"], "evaluation.batch_size=0"),
        (["total_kimg=0.0001"], "total_kimg=0.0001"),
        (["generator.channel_base=8"], "no feature map"),
        (["generator.z_dim=0"], "z_dim=0"),
        (["generator.activation=leaky"], "lrelu"),
        (["discriminator.activation=leaky"], "lrelu"),
        (["discriminator.mbstd_num_channels=3"], "mbstd_num_channels=3"),
        (["data.workers=-1"], "data.workers=-1"),
        (["threads=0"], "threads=0: must be auto or an integer from 1 to 1024"),
        (["threads=many"], "threads=many: must be auto or an integer"),
        (["threads=1.5"], "threads=1.5"),
        (["threads=100000"], "threads=100000"),
        (["optimizer.g_betas=[0,1.5]"], "optimizer.g_betas=[0.0, 1.5]"),
        (["optimizer.beta2=0.9"], "optimizer.g_betas or optimizer.d_betas?"),
        (["style_mixing_prob=2"], "style_mixing_prob=2"),
        (["checkpoints=0"], "checkpoints=0"),
        (["trainer.accelerator=cpu", "trainer.devices=4"], "mbstd_group_size=4"),
        (["total_kimg=inf"], "total_kimg=inf"),
        (["checkpoint_every_kimg=inf"], "checkpoint_every_kimg=inf"),
        (["ema.kimg=nan"], "ema.kimg=nan"),
        (["generator.w_dim=16384", "generator.z_dim=16384", "generator.mapping_layers=64"], "million parameters"),
        (["output_dir=/"], "output_dir=/"),
        (["logger.project=a/b"], "logger.project=a/b"),
    ],
)
def test_train(overrides: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available() and "trainer.accelerator=gpu" in overrides:
        overrides = ["trainer.accelerator=gpu", "trainer.devices=99"]
        message = "this machine has"
    arguments = ["train", *TINY_RUN, f"output_dir={tmp_path / 'run'}", *overrides]
    assert message in refused(arguments, tmp_path, capsys)


@pytest.mark.parametrize("setting", ["data.path", "init", "evaluation.weights"])
@pytest.mark.parametrize(
    ("path", "message"),
    [("~nosuchuser/x", "no user nosuchuser"), ("x" * 300, "at most 255 bytes"), ("a/" * 2000, "at most 3840 bytes")],
)
def test_paths_that_are_opened_to_choose_settings(
    setting: str, path: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", f"{setting}={path}", f"output_dir={tmp_path / 'run'}", "trainer.accelerator=cpu"]
    line = refused(arguments, tmp_path, capsys)
    assert line.startswith(f"error: {setting}=")
    assert message in line


def test_a_long_name_of_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such data" in refused(["train", f"data={'x' * 300}", f"output_dir={tmp_path / 'run'}"], tmp_path, capsys)


@pytest.mark.parametrize(
    ("variables", "overrides", "message"),
    [
        ({"SLURM_NTASKS_PER_NODE": "x"}, ["trainer=slurm"], "trainer=slurm (trainer.devices): "),
        (
            {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"},
            ["trainer.accelerator=cpu"],
            "the SLURM job was submitted with other numbers",
        ),
        (
            {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4"},
            ["trainer.accelerator=cpu"],
            "trainer.devices=1 trainer.num_nodes=1: torchrun has started 4 processes",
        ),
        ({"WORLD_SIZE": "2", "RANK": "0"}, ["trainer.accelerator=cpu"], "WORLD_SIZE=2 RANK=0"),
        ({"WANDB_MODE": "loud"}, ["trainer.accelerator=cpu"], "WANDB_MODE=loud"),
    ],
)
def test_launchers(
    variables: dict[str, str],
    overrides: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert message in refused(["train", *TINY_RUN, f"output_dir={tmp_path / 'run'}", *overrides], tmp_path, capsys)


def test_no_numbered_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for override in ("batch_size=6", "generator.activation=leaky", "regularizers.r1.every=0"):
        refused(["train", *TINY_RUN, override], tmp_path, capsys)


def test_folders_that_hold_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        assert main(["train", *TINY_RUN, "total_kimg=0.008", f"output_dir={tmp_path / name}"]) == 0
    capsys.readouterr()
    arguments = ["train", *TINY_RUN, "total_kimg=1", f"resume={tmp_path / 'a'}", f"output_dir={tmp_path / 'b'}"]
    assert "already holds a run" in refused(arguments, tmp_path, capsys)
    (tmp_path / "a" / "config.yaml").write_text("")
    arguments = ["train", *TINY_RUN, "total_kimg=1", f"output_dir={tmp_path / 'a'}"]
    assert "not the configuration" in refused(arguments, tmp_path, capsys)


def test_data_that_changed_under_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_images(tmp_path / "data", *[(3, 16, 16)] * 8)
    run = [a for a in TINY_RUN if a != "data.resolution=16"]
    run += ["experiment=openmoji", "data=images", f"data.path={data}", f"output_dir={tmp_path / 'run'}"]
    assert main(["train", *run, "total_kimg=0.008"]) == 0
    write_png(data / "0.png", torch.full((3, 16, 16), 99, dtype=torch.uint8))
    assert main(["train", *run, "total_kimg=0.016"]) == 2
    assert "differ from the run's training data" in capsys.readouterr().err


def test_an_output_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    message = refused(["train", *TINY_RUN, f"output_dir={tmp_path / 'file' / 'run'}"], tmp_path, capsys)
    assert "cannot be written" in message


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seeds=3-1"], "seeds=3-1"),
        (["seeds=-4"], "seeds=-4"),
        (["mode=mixing", "layers=fine"], "begin at 64 px"),
        (["mode=mixing", "layers=4-99"], "0 to 5"),
        (["mode=mixing", "mix_seeds=x"], "mix_seeds=x"),
        (["mode=paint"], "grid"),
        (["class=2"], "class=2"),
        (["truncation_cutoff=40"], "truncation_cutoff=40"),
        (["noise=loud"], "const"),
        (["batch_size=0"], "batch_size=0"),
        (["scale=0"], "scale=0"),
        (["device=toaster"], "cpu"),
        (["truncation_psi=nan"], "truncation_psi=nan"),
        (["mode=grid", "out=grid.jpg"], "Use out=grid.png"),
        (["mode=video", "out=loop.avi"], "writes one .webp or .gif or .mp4 file. Use out=loop.webp"),
        (["mode=video", "audio=song.wav", "out=loop.gif"], "Use out=loop.mp4"),
        (["mode=video", "audio=/nowhere/song.wav"], "audio=/nowhere/song.wav cannot be read"),
        (["mode=video", "seeds=0-2", "keyframes=0,1"], "Use keyframes=0,2,4"),
        (["mode=video", "seeds=0-7", "tiles=3"], "8 seeds for 3 tiles"),
        (["mode=video", "seeds=5"], "at least two"),
        (["mode=video", "seeds=0-999", "scale=64"], "million pixels"),
        (["mode=interpolation", "seeds=3"], "a line has two ends"),
        (["mode=grid", "out=/proc/nowhere/grid.png"], "cannot be written"),
        (["out=~nosuchuser/x"], "no user nosuchuser"),
        ([f"out={'x' * 300}"], "at most 255 bytes"),
        (["mode=grid", "seeds=0-999999", "scale=64"], "million pixels"),
        (["seeds=0-99999999999"], "is not a seed"),
        ([f"seeds={'9' * 5000}"], "seeds=9999"),
        (["columns=1000000", "mode=grid"], "columns=1000000: must be an integer from 1 to 10000"),
        (["scale=100000"], "from 1 to 64"),
        (["truncation_psi=1e300"], "from -100 to 100"),
        (["psis=[nan]"], "psis=[nan]"),
        (["~seeds"], "cannot be deleted"),
        (["+foo=1"], "foo"),
    ],
)
def test_sample(
    overrides: list[str], message: str, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(["sample", f"snapshot={run_folder}", *overrides], tmp_path, capsys)


def test_snapshots(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(run_folder.rglob("*.safetensors"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(["sample", f"snapshot={run_folder}"], tmp_path, capsys)
    path.write_bytes(b"PK something else")
    assert "not a safetensors file" in refused(["sample", f"snapshot={run_folder}"], tmp_path, capsys)
    safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    assert "metadata" in refused(["sample", f"snapshot={run_folder}"], tmp_path, capsys)
    assert "no such file" in refused(["sample", "snapshot=/nowhere.safetensors"], tmp_path, capsys)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "takes one of the two"),
        (["images=x", "snapshot=y"], "takes one of the two"),
        (["snapshot={run}"], "data.path is missing"),
        (["snapshot={run}", "data.path=openmoji", "metrics=[fud]"], "fud"),
        (["snapshot={run}", "data.path=openmoji", "metrics=[kid]", "num_samples=10"], "kid needs at least 1000"),
        (["images=/nowhere", "data.path=openmoji"], "/nowhere"),
        (["snapshot={run}", "data.path=openmoji", "data.resolution=32"], "cannot be compared"),
        (["snapshot={run}", "data.path=openmoji", "evaluation.batch_size=0"], "evaluation.batch_size=0"),
        (["snapshot={run}", "data.path=openmoji", "batch_size=0"], "batch_size=0"),
    ],
)
def test_evaluate(
    overrides: list[str], message: str, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", *(o.format(run=run_folder) for o in overrides)]
    assert message in refused(arguments, tmp_path, capsys)


def test_unknown_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "train" in refused(["trian"], tmp_path, capsys)
