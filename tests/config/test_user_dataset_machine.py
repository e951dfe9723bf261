"""`python train.py data.path=X`: what follows from the number of processes and from the weights on this machine."""

from pathlib import Path

import pytest

from stylegen.config import rules, user_dataset
from stylegen.config.train_composition import compose_train
from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from tests.support.datasets import encode, write_folder

CPU, GPU = "trainer.accelerator=cpu", "trainer.accelerator=cuda"


def images(top: Path, count: int, side: int) -> Path:
    same = [encode(i, (side, side)) for i in range(min(count, 5))]
    return write_folder(top / "mine", {f"{i:04d}.png": same[i % len(same)] for i in range(count)})


def composed(path: Path, *overrides: str) -> TrainSettings:
    return compose_train([f"data.path={path}", *overrides])


@pytest.mark.parametrize(
    ("device", "count", "devices", "batch", "group"),
    [
        (CPU, 20, 3, 6, 2),
        (CPU, 20, 6, 6, 1),
        (CPU, 20, 12, 12, 1),
        (GPU, 20, 3, 12, 4),
        (GPU, 20, 5, 20, 4),
        (GPU, 20, 6, 12, 2),
        (GPU, 20, 16, 16, 1),
        (GPU, 3, 2, 2, 1),
    ],
)
def test_any_number_of_processes_shares_the_batch(
    device: str, count: int, devices: int, batch: int, group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = images(tmp_path, count, 16)
    config = composed(path, device, f"trainer.devices={devices}", "evaluation=none")
    assert (config.batch_size, config.discriminator.mbstd_group_size) == (batch, group)
    monkeypatch.setattr(rules, "check_accelerator", lambda accelerator, devices: None)
    rules.check_settings(config, ImageDataset(path, cache="off"))


def test_more_processes_than_images_are_refused(tmp_path: Path) -> None:
    path = images(tmp_path, 2, 16)
    with pytest.raises(UserError, match=r"trainer.devices \* trainer.num_nodes=3 needs a multiple of 3"):
        rules.check_settings(composed(path, CPU, "trainer.devices=3"), ImageDataset(path, cache="off"))


def test_path_length_on_one_image_per_process(tmp_path: Path) -> None:
    path, eight = images(tmp_path, 8, 16), [GPU, "trainer.devices=8"]
    assert composed(path, *eight).regularizers.path_length.batch_shrink == 1
    assert composed(path, *eight, "regularizers.path_length.batch_shrink=2").regularizers.path_length.batch_shrink == 2
    assert "path_length" not in composed(path, *eight, "experiment=auto", "~regularizers.path_length").regularizers
    assert composed(path, GPU, "trainer.devices=4").regularizers.path_length.batch_shrink == 2


BOTH = ("inception", "efficientnet_lite0")


@pytest.mark.parametrize(
    ("device", "count", "present", "metrics"),
    [
        (GPU, 16, BOTH, ["fid50k_full"]),
        (GPU, 16, BOTH[1:], ["fd_efficientnet_lite0", "prdc_efficientnet_lite0"]),
        (GPU, 16, (), []),
        (GPU, 15, BOTH, []),
        (CPU, 16, BOTH, ["fd_efficientnet_lite0", "prdc_efficientnet_lite0"]),
        (CPU, 16, BOTH[:1], []),
        (CPU, 15, BOTH, []),
    ],
)
def test_the_metric_is_one_whose_weights_are_here(
    device: str,
    count: int,
    present: tuple[str, ...],
    metrics: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_dataset, "is_present", lambda extractor, weights: extractor in present)
    config = composed(images(tmp_path, count, 16), device)
    assert list(config.evaluation.metrics) == metrics
    assert config.evaluation.every_kimg == (200 if device == GPU else 0)


def test_given_metrics_and_weights_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGEN_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(user_dataset.torch.hub, "get_dir", lambda: str(tmp_path))
    path = images(tmp_path, 16, 16)
    given = composed(path, GPU, "evaluation.metrics=[fid]").evaluation
    assert (list(given.metrics), given.num_samples) == (["fid"], 50000)
    assert list(composed(path, GPU, "evaluation=fid50k_full").evaluation.metrics) == ["fid50k_full"]
    (tmp_path / "own.pth").write_bytes(b"")
    config = composed(path, GPU, f"evaluation.weights={tmp_path / 'own.pth'}")
    assert list(config.evaluation.metrics) == ["fid50k_full"]
    with pytest.raises(UserError, match=r"evaluation\.weights=/nowhere: no such file"):
        composed(path, GPU, "evaluation.weights=/nowhere")
