"""`python train.py data.path=X`: the settings chosen for the images and the machine, and the lines that report them."""

from pathlib import Path

import pytest
import torch
import yaml

from stylegen.__main__ import main
from stylegen.config import user_dataset
from stylegen.config.auto import auto_settings
from stylegen.config.train_composition import compose_train
from stylegen.config.train_settings import TrainSettings
from stylegen.diagnosis.cause_rules import too_few_images
from stylegen.diagnosis.evidence import DataFacts, Evidence
from stylegen.errors import UserError
from stylegen.spec import ImageSpec
from tests.support.datasets import encode, write_folder
from tests.support.runs import refused

CPU, GPU = "trainer.accelerator=cpu", "trainer.accelerator=cuda"


def images(top: Path, count: int, side: int | tuple[int, int], channels: int = 3, note: object = None) -> Path:
    size = side if isinstance(side, tuple) else (side, side)
    same = [encode(i, size, channels) for i in range(min(count, 5))]
    return write_folder(top / "mine", {f"{i:04d}.png": same[i % len(same)] for i in range(count)}, note)


def composed(path: Path, *overrides: str) -> TrainSettings:
    return compose_train([f"data.path={path}", *overrides])


def networks(config: TrainSettings) -> tuple:
    return config.generator.channel_base, config.discriminator.channel_base, config.regularizers.r1.gamma


def test_twenty_images_of_40_px(tmp_path: Path) -> None:
    config = composed(images(tmp_path, 20, 40), CPU)
    assert (config.data.resolution, config.data.convert, config.data.use_labels) == (32, "rgb", False)
    assert (*networks(config), config.batch_size) == (1024, 1024, 1.0, 8)
    assert (config.augment.name, config.augment.speed_kimg) == ("ada", 50)
    assert (config.total_kimg, config.optimizer.g_lr, config.optimizer.d_lr) == (200, 0.01, 0.0025)
    assert "path_length" not in config.regularizers
    assert config.generator.conv_clamp is config.discriminator.conv_clamp is None
    assert list(config.evaluation.metrics) == ["fd_efficientnet_lite0", "prdc_efficientnet_lite0"]


def test_five_hundred_of_512_px(tmp_path: Path) -> None:
    path = images(tmp_path, 500, 512)
    config = composed(path, CPU)
    assert (config.data.resolution, config.data.convert) == (64, "rgb")
    assert networks(config) == (1024, 1024, 2.0)
    for network in (config.generator, config.discriminator):
        assert network.channel_max == 128
    assert (config.generator.z_dim, config.generator.w_dim) == (128, 128)
    portraits = compose_train(["experiment=openmoji64"])
    assert networks(config) == networks(portraits)
    larger = composed(path, CPU, "data.resolution=128")
    assert (larger.data.resolution, larger.data.convert) == (128, "rgb")
    assert networks(larger) == (2048, 2048, 4.0)
    stored = composed(path, CPU, "data.resolution=512")
    assert stored.data.convert is None


@pytest.mark.parametrize(
    ("count", "total", "name"), [(999, None, "ada"), (1000, None, None), (20, 4, None), (20, 4.1, "ada")]
)
def test_images_that_are_shown_often_are_augmented(
    count: int, total: float | None, name: str | None, tmp_path: Path
) -> None:
    """Where `diagnose` would report `too_few_images` without augmentation."""
    config = composed(images(tmp_path, count, 16), CPU, *([] if total is None else [f"total_kimg={total}"]))
    assert getattr(config.augment, "name", None) == name
    plain = {"data.mirror": False, "total_kimg": config.total_kimg, "regularizers.r1.gamma": 1}
    evidence = Evidence((), plain, data=DataFacts(count))
    assert bool(too_few_images(evidence)) == (name is not None)


def test_many_images_are_not_augmented(tmp_path: Path) -> None:
    config = composed(images(tmp_path, 1000, 16), CPU)
    assert config.augment is None
    assert (config.data.resolution, config.data.convert) == (16, None)
    assert composed(tmp_path / "mine", CPU, "data.max_images=100").augment.name == "ada"
    assert composed(tmp_path / "mine", CPU, "augment=diffaugment").augment.name == "diffaugment"


def test_gray_images_stay_gray(tmp_path: Path) -> None:
    assert composed(images(tmp_path / "a", 8, 32, 1), CPU).data.convert is None
    assert composed(images(tmp_path / "b", 8, 40, 1), CPU).data.convert == "gray"


def test_labels_are_used_on_request(tmp_path: Path) -> None:
    labels = {"labels": [[f"{i:04d}.png", i % 2] for i in range(8)]}
    path = images(tmp_path, 8, 16, note=labels)
    assert not composed(path, CPU).data.use_labels
    config = composed(path, CPU, "data.use_labels=true")
    assert (config.data.use_labels, config.discriminator.mapping_layers) == (True, 2)


@pytest.mark.parametrize(("count", "mirror", "batch", "group"), [(1, False, 1, 1), (7, False, 4, 4), (7, True, 8, 4)])
def test_few_images_make_a_small_batch(count: int, mirror: bool, batch: int, group: int, tmp_path: Path) -> None:
    config = composed(images(tmp_path, count, 16), CPU, f"data.mirror={mirror}")
    assert (config.batch_size, config.discriminator.mbstd_group_size) == (batch, group)
    assert not config.evaluation.metrics  # too few for a distance of distributions


def test_the_rates_decay_at_the_end_of_a_run_of_any_length(tmp_path: Path) -> None:
    path = images(tmp_path, 8, 16)
    for total in (200, 32):
        config = composed(path, CPU, *([f"total_kimg={total}"] * (total != 200)))
        assert (config.optimizer.decay_start_kimg, config.optimizer.decay_kimg) == (total * 5 / 8, total * 3 / 8)


def test_on_gpus_they_are_the_published_rules(tmp_path: Path) -> None:
    config = composed(images(tmp_path, 20, 512), GPU, "trainer.devices=2")
    assert (config.data.resolution, config.data.convert, config.total_kimg) == (512, None, 25000)
    for key, value in auto_settings(512, 2, half=True).items():
        node, _, leaf = key.rpartition(".")
        section = getattr(config, node.split(".")[0]) if node else config
        section = section.r1 if node == "regularizers.r1" else section
        assert getattr(section, leaf) == value, key
    assert (config.augment.name, config.augment.speed_kimg) == ("ada", 500)


def test_a_batch_that_the_images_do_not_fill(tmp_path: Path) -> None:
    config = composed(images(tmp_path, 20, 32), GPU)
    assert (config.batch_size, config.discriminator.mbstd_group_size) == (16, 4)
    assert config.regularizers.r1.gamma == auto_settings(32, 1, 16)["regularizers.r1.gamma"]


def test_photographs_on_a_gpu(tmp_path: Path) -> None:
    config = composed(images(tmp_path, 3, (600, 400)), GPU)
    assert (config.data.resolution, config.data.convert) == (256, "rgb")


@pytest.mark.parametrize(("gib", "share"), [(80, None), (12, None), (8, 8), (6, 8), (4, 4), (1, 4)])
def test_a_small_gpu_computes_the_batch_in_parts(
    gib: float, share: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = type("Properties", (), {"total_memory": gib * 2**30})
    monkeypatch.setattr(user_dataset.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(user_dataset.torch.cuda, "get_device_properties", lambda device: memory)
    config = composed(images(tmp_path, 20, 256), GPU)
    assert (config.batch_size, config.batch_per_device) == (16, share)


def test_what_is_given_is_kept(tmp_path: Path) -> None:
    given = ["generator.channel_base=512", "batch_size=4", "regularizers=r1_path_length", "evaluation=none"]
    config = composed(images(tmp_path, 20, 40), CPU, *given, "data.convert=gray", "augment=none")
    assert (config.generator.channel_base, config.discriminator.channel_base, config.batch_size) == (512, 1024, 4)
    assert set(config.regularizers) == {"r1", "path_length"}
    assert (config.data.convert, config.augment, list(config.evaluation.metrics)) == ("gray", None, [])


def test_other_networks(tmp_path: Path) -> None:
    config = composed(images(tmp_path, 20, 40), CPU, "generator=stylegan1", "discriminator=stylegan1")
    assert (config.generator.name, config.generator.channel_base, config.discriminator.channel_base) == (
        *("stylegan1", 1024, 1024),
    )


@pytest.mark.parametrize("experiment", ["auto", "auto_cpu"])
def test_the_experiments_choose_too(experiment: str, tmp_path: Path) -> None:
    path = images(tmp_path, 20, 40)
    assert composed(path, CPU, f"experiment={experiment}") == composed(path, CPU)


def test_the_default_recipe_is_the_demos() -> None:
    for overrides in ([], ["data.path=openmoji"], ["data=openmoji", CPU]):
        assert compose_train(overrides).total_kimg == 32
    assert compose_train(["experiment=auto", "data.path=openmoji", CPU]).total_kimg == 200


def test_data_named_by_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images(tmp_path, 20, 40).rename("metfaces.zip")
    config = compose_train(["data=metfaces", CPU])
    assert (config.total_kimg, config.data.mirror, config.data.resolution) == (200, True, 32)


@pytest.mark.parametrize("override", ["data.resolution=0", "batch_size=0", "trainer.devices=0", "total_kimg=-1"])
def test_impossible_numbers_are_refused(override: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=override.partition("=")[0]):
        composed(images(tmp_path, 20, 40), CPU, override)


class Opened:
    """The training set as `reasons` sees it."""

    def __init__(self, count: int, resolution: int) -> None:
        self.count, self.spec = count, ImageSpec(resolution)

    def __len__(self) -> int:
        return self.count


def test_the_report_of_a_reduced_resolution(tmp_path: Path) -> None:
    path = images(tmp_path, 20, 512)
    lines = user_dataset.reasons(composed(path, CPU), Opened(20, 64))
    assert len(lines) == 5
    hint = "about the largest that a CPU trains in hours; data.resolution=128 takes four times as long"
    assert lines[1] == f"64 px (data.convert=rgb): {hint}"
    assert lines[2] == "batch 8, 16 to 128 feature maps, r1.gamma=2: as for the portraits at 64 px"
    often = "each image is shown 10,000 times; above 200, the discriminator may memorize them"
    assert lines[3] == f"augment=ada: {often}"
    assert lines[4].endswith("at 512 px")
    lines = user_dataset.reasons(composed(path, CPU, "data.resolution=256", "augment=none"), Opened(20, 256))
    assert lines[1] == "256 px (data.convert=rgb); data.resolution=512 takes four times as long"
    assert lines[3] == "augment=none"


def test_the_report_for_the_portraits() -> None:
    config = compose_train(["experiment=auto", "data.path=openmoji", "data.resolution=16", CPU])
    lines = user_dataset.reasons(config, Opened(894, 16))
    assert lines[0].startswith("894 images of 16x16 px, color, ")
    assert lines[1] == "16 px, as stored"


def test_the_report_on_a_gpu_and_for_other_recipes(tmp_path: Path) -> None:
    path = images(tmp_path, 20, 32, 1)
    lines = user_dataset.reasons(composed(path, GPU), Opened(20, 32))
    assert lines[:2] == ["20 images of 32x32 px, gray, no labels", "32 px, as stored"]
    assert lines[2].endswith(": StyleGAN2-ADA's for 1 GPU(s)")
    assert len(lines) == 4
    assert user_dataset.reasons(composed(path, "experiment=openmoji"), Opened(20, 32)) == []


SMALL = ["z_dim", "w_dim", "channel_max"]
TINY = [CPU, *(f"generator.{key}=8" for key in SMALL), "discriminator.channel_max=8", "evaluation=none"]
TINY += ["total_kimg=0.008", "sample_count=4", "logger.mode=disabled", "threads=1"]


def test_a_folder_of_photographs_trains_and_continues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{i}.jpg": encode(i, (20 + i, 30), format="JPEG") for i in range(9)}
    path = write_folder(tmp_path / "holiday", {**files, "broken.jpg": b"text", "x.heic": b"text", "a.txt": b"text"})
    command = ["train", f"data.path={path}", f"output_dir={tmp_path / 'run'}", *TINY]
    torch.set_num_threads(1)
    assert main(command) == 0
    err = capsys.readouterr().err
    lines = [line.split(maxsplit=1)[1] for line in err.splitlines() if line.startswith("auto  ")]
    log = (tmp_path / "run" / "log.txt").read_text()
    assert len(lines) == 5
    assert all(line in log for line in lines)
    assert lines[0] == "10 images of 20x30 to 28x30 px, color, no labels"
    assert lines[1] == "16 px (data.convert=rgb): the largest power of two that they fill"
    assert lines[2] == "batch 8, 8 to 8 feature maps, r1.gamma=0.5"
    assert lines[3].startswith("augment=none: each image is shown once; ")
    assert lines[4].startswith("warning: networks for ")
    assert "2 images left out (broken.jpg: not a PNG" in err
    assert "data       holiday, 9 images of 16x16 px, 3 channels, no classes" in log
    before = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert main([*(o for o in command if not o.startswith("total_kimg")), "experiment=auto", "total_kimg=0.016"]) == 0
    assert "auto  " not in capsys.readouterr().err
    after = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert {**after, "total_kimg": 0.008} == before
    assert main(["evaluate", f"snapshot={tmp_path / 'run'}", "metrics=[isc]", "num_samples=1"]) == 2  # reads the data
    assert "isc needs at least" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "contains no images"),
        ({"a.txt": b"text", "b.heic": b"x"}, "contains no images (but 1 of other formats)"),
        ({"a.png": b"text", "b.jpg": b""}, "cannot be decoded"),
    ],
)
def test_folders_without_images(
    files: dict[str, bytes], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_folder(tmp_path / "mine", files)
    assert message in refused(["train", f"data.path={path}", f"output_dir={tmp_path / 'run'}", CPU], tmp_path, capsys)


def test_mixed_channels_are_named_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{i}.png": encode(i, (16, 16), 1 + 2 * (i % 2)) for i in range(8)}
    path = write_folder(tmp_path / "mine", files)
    assert composed(path, CPU).data.convert == "rgb"
    command = ["train", "experiment=openmoji", f"data.path={path}", f"output_dir={tmp_path / 'run'}", CPU]
    message = refused(command, tmp_path, capsys)
    assert "all images of a dataset must have the same size and channels" in message
    assert "prepare source=DIR out=FILE.zip resolution=16" in message


def test_an_experiment_names_the_command_that_prepares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = images(tmp_path, 8, (50, 40))
    command = ["train", "experiment=openmoji", f"data.path={path}", f"output_dir={tmp_path / 'run'}", CPU]
    message = refused(command, tmp_path, capsys)
    assert f"python -m stylegen prepare source={path} out=mine32.zip resolution=32" in message
