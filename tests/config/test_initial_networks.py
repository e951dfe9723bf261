"""`init=` without `experiment=`: the run has the networks of the weights, and a line reports it."""

from pathlib import Path

import pytest

from stylegen.__main__ import main
from stylegen.config import user_dataset
from stylegen.config.initial_networks import initial_networks
from stylegen.config.train_composition import compose_train
from stylegen.config.train_settings import TrainSettings
from stylegen.spec import ImageSpec
from tests.support.datasets import encode, write_folder
from tests.support.tiny import TINY_RUN

CPU, GPU, MODEL = "trainer.accelerator=cpu", "trainer.accelerator=cuda", "init=portraits64"
SHORT = ["total_kimg=0.008", "sample_count=4", "logger.mode=disabled", "threads=1", "figures=false", "evaluation=none"]


def images(top: Path, count: int = 8, side: int = 40, channels: int = 3, note: object = None) -> Path:
    return write_folder(top / "mine", {f"{i}.png": encode(i, (side, side), channels) for i in range(count)}, note)


def composed(path: Path, *overrides: str) -> TrainSettings:
    return compose_train([f"data.path={path}", *overrides])


def reported(config: TrainSettings, count: int, side: int) -> list[str]:
    class Opened:
        spec = ImageSpec(side)

        def __len__(self) -> int:
            return count

    return user_dataset.reasons(config, Opened())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with unusual networks, on gray images with labels."""
    top = tmp_path_factory.mktemp("source")
    path = images(top, 8, 16, 1, {"labels": [[f"{i}.png", i % 2] for i in range(8)]})
    own = [o for o in TINY_RUN if not o.startswith(("data.", "evaluation", "figures", "sample_count", "threads"))]
    own += ["generator.activation=relu", "discriminator.mapping_layers=3", "data.use_labels=true"]
    assert main(["train", f"data.path={path}", f"output_dir={top / 'run'}", CPU, *own, *SHORT]) == 0
    return top / "run"


@pytest.mark.parametrize("device", [CPU, GPU])
def test_a_packaged_model_gives_generator_and_resolution(device: str, tmp_path: Path) -> None:
    config = composed(images(tmp_path), device, MODEL)
    model = compose_train(["experiment=openmoji64"])
    assert dict(config.generator.arguments) | {"conv_clamp": None} == dict(model.generator.arguments)
    assert (config.discriminator.channel_base, config.discriminator.channel_max) == (1024, 128)
    assert (config.data.resolution, config.data.convert) == (64, "rgb")
    plain = composed(tmp_path / "mine", device, "data.resolution=64")
    assert (config.batch_size, config.total_kimg) == (plain.batch_size, plain.total_kimg)
    assert config.regularizers.r1.gamma == plain.regularizers.r1.gamma
    assert config.ema.rampup is None


def test_the_report_for_a_packaged_model(tmp_path: Path) -> None:
    lines = reported(composed(images(tmp_path), CPU, MODEL), 8, 64)
    assert len(lines) == 5
    assert lines[1] == (
        "64 px (data.convert=rgb): the resolution of init=portraits64, to which smaller images are enlarged"
    )
    assert lines[2].endswith(
        "16 to 128 feature maps, r1.gamma=2: the networks of init=portraits64; "
        "it holds no discriminator, which starts from random weights"
    )
    assert lines[4].endswith("on a GPU the same command trains them in less time")


def test_gray_images_for_a_model_of_color_images(tmp_path: Path) -> None:
    assert composed(images(tmp_path, 8, 64, 1), CPU, MODEL).data.convert == "rgb"
    assert composed(tmp_path / "mine", CPU).data.convert is None


@pytest.mark.parametrize("name", ["", "checkpoints/last.ckpt"])
def test_a_run_gives_both_networks(name: str, run: Path, tmp_path: Path) -> None:
    config = composed(images(tmp_path), CPU, f"init={run / name}")
    assert (config.generator.activation, config.generator.use_noise) == ("relu", True)
    assert (config.generator.z_dim, config.generator.channel_max, config.discriminator.mapping_layers) == (8, 8, 3)
    assert (config.data.resolution, config.data.convert, config.data.use_labels) == (16, "gray", False)
    lines = reported(config, 8, 16)
    assert lines[1] == f"16 px (data.convert=gray): the resolution of init={run / name}"
    assert lines[2].endswith(f": the networks of init={run / name}")


def test_a_conditional_model_uses_labels_where_there_are_some(run: Path, tmp_path: Path) -> None:
    labels = {"labels": [[f"{i}.png", i % 2] for i in range(8)]}
    path = images(tmp_path, note=labels)
    assert composed(path, CPU, f"init={run}").data.use_labels is True
    assert composed(path, CPU, f"init={run}", "data.use_labels=false").data.use_labels is False


def test_it_trains(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", f"data.path={images(tmp_path)}", CPU, f"init={run}", f"output_dir={tmp_path / 'new'}", *SHORT]
    assert main(command) == 0
    assert "initializes the generator and discriminator" in capsys.readouterr().err


def test_the_demo_is_trained_at_the_models_resolution() -> None:
    config, model = compose_train([MODEL]), compose_train(["experiment=openmoji64"])
    assert config.generator == model.generator
    assert (config.data.path, config.data.resolution, config.total_kimg) == ("openmoji", 64, 32)
    assert compose_train([MODEL, "experiment=openmoji"]).generator != model.generator  # a recipe has its own


@pytest.mark.parametrize("setting", ["generator.channel_max=64", "data.resolution=32"])
def test_a_contradiction_is_one_error(setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", f"data.path={images(tmp_path)}", CPU, MODEL, setting, f"output_dir={tmp_path / 'new'}", *SHORT]
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("it holds a different network") == 1
    assert not (tmp_path / "new").exists()
    assert "Omit experiment=, generator.*, discriminator.* and data.resolution" in message


def test_a_file_of_unknown_networks(tmp_path: Path) -> None:
    """Whoever reads the weights refuses or compares it."""
    (tmp_path / "other.ckpt").write_bytes(b"")
    found = initial_networks(str(tmp_path / "other.ckpt"))
    assert (found.overrides(), found.resolution, found.conversion) == ({}, None, None)
