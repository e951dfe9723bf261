"""Every experiment composes and builds, and the published ones hold the published numbers."""

from types import SimpleNamespace

import pytest
import torch

from stylegen.spec import ImageSpec
from stylegen.verbs.build import build_module
from stylegen.verbs.config import compose_config, config_directory

NAMES = sorted(p.stem for p in (config_directory() / "experiment").glob("*.yaml"))
COLUMNS = ("batch_size", "mbstd", "channel_base", "lr", "gamma", "ema_kimg", "mapping_layers")
# StyleGAN2-ADA's presets (train.py of the published code), by preset.
PUBLISHED = {
    "ffhq1024_stylegan2": (32, 4, 32768, 0.002, 10, 10, 8),
    "ffhq256_stylegan2": (32, 4, 32768, 0.002, 10, 10, 8),
    "ffhq256_paper256": (64, 8, 16384, 0.0025, 1, 20, 8),
    "ffhq512_paper512": (64, 8, 32768, 0.0025, 0.5, 20, 8),
    "ffhq1024_paper1024": (32, 4, 32768, 0.002, 2, 10, 8),
}


@pytest.mark.parametrize("name", NAMES)
def test_it_builds(name: str) -> None:
    config = compose_config("train", [f"experiment={name}", "data.path=x"])
    resolution = next((int(r) for r in ("1024", "512", "256") if r in name), 32)
    labels = SimpleNamespace(spec=ImageSpec(resolution), labels=lambda: torch.zeros(1, 0))
    with torch.device("meta"):
        module = build_module(config, labels)
    assert module.G.resolution == resolution


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_holds_the_published_numbers(name: str) -> None:
    config = compose_config("train", [f"experiment={name}", "data.path=x"])
    found = (
        config.batch_size,
        config.discriminator.mbstd_group_size,
        config.generator.channel_base,
        config.optimizer.g_lr,
        config.regularizers.r1.gamma,
        config.ema.kimg,
        config.generator.mapping_layers,
    )
    assert dict(zip(COLUMNS, found, strict=True)) == dict(zip(COLUMNS, PUBLISHED[name], strict=True))
    assert config.discriminator.channel_base == config.generator.channel_base
    assert config.optimizer.d_lr == config.optimizer.g_lr
    assert (config.optimizer.beta1, config.optimizer.beta2, config.style_mixing_prob) == (0, 0.99, 0.9)
    assert (config.regularizers.r1.every, config.regularizers.path_length.every) == (16, 4)
    assert (config.regularizers.path_length.weight, config.regularizers.path_length.batch_shrink) == (2, 2)
    assert config.ema.rampup is None
    assert config.total_kimg == 25000


@pytest.mark.parametrize("name", [n for n in NAMES if n != "none"])
def test_it_opens_with_its_command(name: str) -> None:
    second = (config_directory() / "experiment" / f"{name}.yaml").read_text().splitlines()[1]
    expected = "# python train.py" if name == "openmoji" else f"# python train.py experiment={name} "
    assert second.startswith(expected)
