"""A continued run keeps its settings, and the default recipe applies to other images only by name."""

from pathlib import Path

import pytest
import torch
import yaml

from stylegen.__main__ import main
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.train_composition import compose_train
from stylegen.images import write_png
from tests.support.runs import content
from tests.support.tiny import TINY_RUN

RUN = [setting for setting in TINY_RUN if setting != "data.resolution=16"]
RUN += ["experiment=none", "data=images", "regularizers=r1", "logger.mode=disabled", "growth=none"]
RUN += ["generator=stylegan1", "discriminator=stylegan1", "total_kimg=0.008", "sample_count=4"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for i in range(8):
        write_png(folder / f"{i}.png", torch.full((3, 16, 16), 16 * i, dtype=torch.uint8))
    return folder


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    torch.set_num_threads(1)
    assert main(["train", *RUN, f"data.path={data}", f"output_dir={tmp_path / 'run'}"]) == 0
    return tmp_path / "run"


def test_a_run_is_continued_by_its_folder_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(run)
    assert main(["train", f"output_dir={run}"]) == 0
    assert "is already finished at 0.008 kimg" in capsys.readouterr().out
    assert main(["train", f"output_dir={run}", "optimizer.g_lr=0.1"]) == 2
    assert "these settings differ from the run's: optimizer.g_lr:" in capsys.readouterr().err
    assert main(["train", f"output_dir={run}", "experiment=openmoji", "total_kimg=1"]) == 2
    assert "generator.name: stylegan1 -> stylegan2" in capsys.readouterr().err
    assert content(run) == before
    assert main(["train", f"output_dir={run}", "total_kimg=0.016", "sample_every_kimg=0.008"]) == 0
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["generator"]["name"] == "stylegan1"
    assert (config["total_kimg"], config["batch_size"]) == (0.016, 8)
    assert config["output_dir"] == str(run)


def test_settings_of_a_group_that_only_the_run_has(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["train", f"output_dir={tmp_path / 'run'}"]
    assert main([*run, *RUN, f"data.path={data}", "loss=relativistic"]) == 0
    assert main([*run, "loss.pairing=average", "total_kimg=0.016"]) == 2
    assert "loss.pairing: single -> average" in capsys.readouterr().err
    assert main([*run, "loss.pairing=single", "total_kimg=0.016"]) == 0


def test_a_run_without_a_regularizer(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["train", f"output_dir={tmp_path / 'run'}"]
    assert main([*run, *RUN, f"data.path={data}", "~regularizers.r1"]) == 0
    assert main([*run, "~regularizers.r1"]) == 0
    assert "is already finished" in capsys.readouterr().out
    assert main([*run, "regularizers.r1.gamma=2"]) == 2
    assert "regularizers.r1.gamma: None -> 2" in capsys.readouterr().err


def test_a_regularizer_of_the_run_cannot_be_removed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"output_dir={run}", "~regularizers.r1"]) == 2
    assert "regularizers.r1.every: 16 -> None" in capsys.readouterr().err


def test_resume_from_elsewhere_has_the_settings_of_that_run(run: Path, tmp_path: Path) -> None:
    assert main(["train", f"resume={run}", f"output_dir={tmp_path / 'other'}", "total_kimg=0.016"]) == 0
    assert yaml.safe_load((tmp_path / "other" / "config.yaml").read_text())["generator"]["name"] == "stylegan1"
    assert main(["train", f"output_dir={tmp_path / 'other'}", "total_kimg=0.024"]) == 0


def test_other_data_are_refused_before_anything_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(run)
    for i in range(8):
        write_png(tmp_path / "other" / f"{i}.png", torch.full((3, 16, 16), 9, dtype=torch.uint8))
    assert main(["train", f"output_dir={run}", f"data.path={tmp_path / 'other'}", "total_kimg=1"]) == 2
    assert "differ from the run's training data" in capsys.readouterr().err
    assert content(run) == before


def test_a_setting_that_is_younger_than_the_run_has_its_default(run: Path) -> None:
    path = RunFolder(run).config
    config = yaml.safe_load(path.read_text())
    del config["generator"]["mapping_layers"], config["bad_steps"], config["data"]["mirror"]
    path.write_text(yaml.safe_dump(config))
    assert main(["train", f"output_dir={run}"]) == 0


def test_the_demos_recipe_on_other_images_is_a_choice(data: Path) -> None:
    assert compose_train([f"data.path={data}", "trainer.accelerator=cpu"]).total_kimg == 200
    config = compose_train([f"data.path={data}", "experiment=openmoji"])
    assert (config.total_kimg, config.data.resolution, config.data.convert) == (32, None, None)
