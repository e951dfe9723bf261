"""StyleGAN2-ADA's automatic settings: its rules by hand-computed values, and what they may overwrite."""

from pathlib import Path

import pytest
import torch

from stylegen.config.auto import auto_settings
from stylegen.config.compose import compose_config
from stylegen.errors import UserError
from stylegen.images import write_png

# Batch and gamma from StyleGAN3's docs/configs.md (old cfg=auto); the rest computed by the rules.
TABLE = [
    # px, devices: batch, group, widths, rate, gamma, EMA kimg
    (128, 1, 32, 4, 16384, 0.0025, 0.1024, 10),
    (128, 2, 64, 4, 16384, 0.0025, 0.0512, 20),
    (256, 1, 16, 4, 16384, 0.0025, 0.8192, 5),
    (256, 2, 32, 4, 16384, 0.0025, 0.4096, 10),
    (256, 8, 64, 4, 16384, 0.0025, 0.2048, 20),
    (512, 1, 8, 4, 32768, 0.0025, 6.5536, 2.5),
    (512, 2, 16, 4, 32768, 0.0025, 3.2768, 5),
    (512, 8, 64, 4, 32768, 0.0025, 0.8192, 20),
    (1024, 1, 4, 4, 32768, 0.002, 52.4288, 1.25),
    (1024, 2, 8, 4, 32768, 0.002, 26.2144, 2.5),
    (1024, 8, 32, 4, 32768, 0.002, 6.5536, 10),
    (2048, 1, 2, 2, 32768, 0.002, 419.4304, 0.625),
    (1024, 32, 64, 2, 32768, 0.002, 3.2768, 20),
]
KEYS = (
    *("batch_size", "discriminator.mbstd_group_size", "generator.channel_base", "optimizer.g_lr"),
    *("regularizers.r1.gamma", "ema.kimg"),
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}px-{row[1]}")
def test_the_rules(row: tuple) -> None:
    resolution, devices, *expected = row
    settings = auto_settings(resolution, devices)
    assert [settings[key] for key in KEYS] == pytest.approx(expected)
    assert settings["optimizer.d_lr"] == settings["optimizer.g_lr"]
    assert settings["discriminator.channel_base"] == settings["generator.channel_base"]
    assert (settings["generator.mapping_layers"], settings["w_avg_decay"]) == (2, 0.995)
    assert "precision" not in settings


def test_a_given_batch_decides_what_follows_from_it() -> None:
    settings = auto_settings(256, 2, batch_size=8)
    assert [settings[key] for key in KEYS] == pytest.approx([8, 4, 16384, 0.0025, 1.6384, 2.5])


def test_odd_numbers_of_devices_get_whole_groups() -> None:
    assert auto_settings(256, 3)["batch_size"] == 48
    assert auto_settings(256, 6)["batch_size"] == 48


def test_half_precision_and_transfer() -> None:
    settings = auto_settings(256, 1, half=True, transfer=True)
    assert (settings["precision"], settings["half_resolutions"]) == ("fp16", 4)
    assert settings["generator.conv_clamp"] == settings["discriminator.conv_clamp"] == 256
    assert settings["augment.speed_kimg"] == 100


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_png(tmp_path / "data" / "0.png", torch.zeros(3, 256, 256, dtype=torch.uint8))
    return tmp_path / "data"


def test_they_fill_what_is_not_given(data: Path) -> None:
    config = compose_config("train", ["experiment=auto", f"data.path={data}", "trainer.devices=2", "ema.kimg=3"])
    assert (config.batch_size, config.regularizers.r1.gamma, config.ema.kimg) == (32, pytest.approx(0.4096), 3)
    assert (config.generator.channel_base, config.optimizer.d_lr) == (16384, 0.0025)
    assert (config.augment.speed_kimg, config.ema.rampup) == (500, 0.05)
    assert config.total_kimg == 25000


def test_an_experiments_values_are_kept() -> None:
    config = compose_config("train", ["auto=true"])  # the default experiment sets everything else
    plain = compose_config("train", [])
    assert config.discriminator.mbstd_group_size == plain.discriminator.mbstd_group_size
    assert (config.batch_size, config.generator.channel_base, config.regularizers.r1.gamma) == (8, 1024, 1.0)
    assert config.w_avg_decay == 0.995


def test_the_values_of_a_file_that_an_experiment_starts_from_are_kept() -> None:
    config = compose_config("train", ["experiment=lsunchurch256_stylegan2", "auto=true", "data.path=openmoji"])
    assert (config.regularizers.r1.gamma, config.batch_size) == (100, 32)  # from the experiment; from config F
    assert (config.generator.channel_base, config.ema.kimg, config.ema.rampup) == (32768, 10, None)


@pytest.mark.parametrize(("resolution", "half"), [(1024, 4), (64, 4), (32, 3), (8, 1)])
def test_4_px_stay_in_float32(resolution: int, half: int) -> None:
    assert auto_settings(resolution, 1, half=True)["half_resolutions"] == half


def test_a_given_batch_is_heard_from_the_command_line() -> None:
    overrides = ["experiment=none", "auto=true", "data=openmoji", "batch_size=64"]
    config = compose_config("train", overrides)
    assert (config.batch_size, config.regularizers.r1.gamma) == (64, pytest.approx(0.0002 * 32**2 / 64))
    assert config.augment is None


def test_transfer_keeps_a_speed_that_was_chosen(data: Path) -> None:
    overrides = ["experiment=auto", f"data.path={data}", "init=x"]
    assert compose_config("train", overrides).augment.speed_kimg == 100
    assert compose_config("train", [*overrides, "augment=ada_short"]).augment.speed_kimg == 50


def test_data_that_are_not_there() -> None:
    assert compose_config("train", ["experiment=auto"]).batch_size == 32
    with pytest.raises(UserError, match="/nowhere"):
        compose_config("train", ["experiment=auto", "data.path=/nowhere"])


@pytest.mark.parametrize("override", ["data.resolution=0", "trainer.devices=0", "batch_size=0"])
def test_impossible_numbers_are_refused_before_anything_follows_from_them(override: str) -> None:
    with pytest.raises(UserError, match=override):
        compose_config("train", ["experiment=auto", "data.path=openmoji", override])
