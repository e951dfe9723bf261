"""Every experiment composes and builds, and the published ones hold the published numbers."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from stylegen.checkpoints.transfer import read_weights
from stylegen.errors import UserError
from stylegen.losses import LOSSES
from stylegen.regularizers import REGULARIZERS
from stylegen.spec import ImageSpec
from stylegen.training.optimizer import AdamSettings
from stylegen.training.phases import build_phases, lazy_correction
from stylegen.verbs.build import build_module
from stylegen.verbs.config import check_complete, compose_config, config_directory, plain

NAMES = sorted(p.stem for p in (config_directory() / "experiment").glob("*.yaml"))
COLUMNS = (
    *("batch_size", "mbstd", "channel_base", "lr", "gamma", "ema_kimg", "ema_rampup", "mapping_layers", "w_avg_decay"),
    *("total_kimg", "mixing", "path_length", "D", "augment", "speed_kimg", "mirror", "labels"),
)
STYLEGAN2 = (0.995, 25000, 0.9, 2, "resnet")
# StyleGAN2-ADA's presets (train.py of the published code): stylegan2, paper256, paper512, paper1024, cifar; for AFHQv2
# those of StyleGAN3's docs/configs.md with the defaults of its train.py; speed 100 is that of `--resume`.
PUBLISHED = {
    "ffhq1024_stylegan2": (32, 4, 32768, 0.002, 10, 10, None, 8, *STYLEGAN2, None, None, True, False),
    "ffhq256_stylegan2": (32, 4, 32768, 0.002, 10, 10, None, 8, *STYLEGAN2, None, None, True, False),
    "ffhq256_paper256": (64, 8, 16384, 0.0025, 1, 20, None, 8, *STYLEGAN2, None, None, True, False),
    "ffhq512_paper512": (64, 8, 32768, 0.0025, 0.5, 20, None, 8, *STYLEGAN2, None, None, True, False),
    "ffhq1024_paper1024": (32, 4, 32768, 0.002, 2, 10, None, 8, *STYLEGAN2, None, None, True, False),
    "metfaces1024_transfer": (32, 4, 32768, 0.002, 2, 10, None, 8, *STYLEGAN2, "bgc", 100, True, False),
    "afhqv2_512_ada": (
        *(32, 4, 32768, 0.002, 5, 10, 0.05, 8, 0.998, 25000, 0.9, 2, "resnet"),
        *("bgc", 500, True, False),
    ),
    "cifar10_conditional": (
        *(64, 32, 32768, 0.0025, 0.01, 500, 0.05, 2, 0.995, 100000, 0, None, "orig"),
        *("bgc", 500, False, True),
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_it_builds(name: str) -> None:
    data = "data.path=openmoji" if name == "auto" else "data.path=x"  # what `auto` decides follows the pictures
    config = compose_config("train", [f"experiment={name}", data])
    check_complete(config)
    resolution = next((int(r) for r in ("1024", "512", "256") if r in name), 32)
    classes = 3 if config.data.use_labels else 0
    dataset = SimpleNamespace(spec=ImageSpec(resolution, 3, classes), labels=lambda: torch.zeros(1, classes))
    with torch.device("meta"):
        module = build_module(config, dataset)
    assert (module.G.resolution, module.G.num_classes) == (resolution, classes)
    assert (module.augment is None) == (not config.augment)


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_holds_the_published_numbers(name: str) -> None:
    config = compose_config("train", [f"experiment={name}", "data.path=x"])
    G, D, path_length = config.generator, config.discriminator, config.regularizers.get("path_length", {})
    found = (
        *(config.batch_size, D.mbstd_group_size, G.channel_base, config.optimizer.d_lr, config.regularizers.r1.gamma),
        *(config.ema.kimg, config.ema.rampup, G.mapping_layers, config.w_avg_decay),
        *(config.total_kimg, config.style_mixing_prob, path_length.get("weight"), D.architecture),
        *(config.augment.get("preset"), config.augment.get("speed_kimg"), config.data.mirror, config.data.use_labels),
    )
    assert dict(zip(COLUMNS, found, strict=True)) == dict(zip(COLUMNS, PUBLISHED[name], strict=True))
    assert (G.z_dim, G.w_dim, G.channel_max, D.channel_max, D.mapping_layers) == (512, 512, 512, 512, 8)
    assert D.channel_base == G.channel_base
    assert not config.optimizer.rampup_kimg
    assert config.optimizer.decay == "none"
    assert config.regularizers.r1.every == 16
    if path_length:
        assert (path_length.every, path_length.batch_shrink, path_length.decay) == (4, 2, 0.01)
    if config.augment:
        assert (config.augment.p, config.augment.target, config.augment.every) == (0, 0.6, 4)
    assert (config.precision, config.half_resolutions) == ("fp16", 4)
    assert (G.conv_clamp, D.conv_clamp) == (256, 256)


@pytest.mark.parametrize("name", PUBLISHED)
def test_adam_runs_at_the_published_rates(name: str) -> None:
    """The published code corrects G's Adam by c = 4/5 and D's by c = 16/17, whatever the weights of the lazy terms."""
    config = plain(compose_config("train", [f"experiment={name}", "data.path=x"]))
    regularizers = [(key, REGULARIZERS[key](**arguments)) for key, arguments in config["regularizers"].items()]
    phases = build_phases(LOSSES["nonsaturating"](), regularizers)
    for network, c in (("G", 4 / 5), ("D", 16 / 17)):
        settings = AdamSettings(**config["optimizer"])
        adam = settings.build(network, [nn.Parameter(torch.zeros(1))], lazy_correction(phases, network)).defaults
        assert adam["lr"] == pytest.approx(PUBLISHED[name][COLUMNS.index("lr")] * c, rel=1e-12)
        assert adam["betas"] == (0, pytest.approx(0.99**c, rel=1e-12))
        assert adam["eps"] == 1e-8


def header(name: str) -> list[str]:
    """The comment that an experiment opens with, without its first line, which is Hydra's."""
    lines = (config_directory() / "experiment" / f"{name}.yaml").read_text().splitlines()
    return list(itertools.takewhile(lambda line: line.startswith("#"), lines[1:]))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "none"])
def test_it_opens_with_command_hardware_time_and_score(name: str) -> None:
    command, *rest = header(name)
    expected = "# python train.py" if name == "openmoji" else f"# python train.py experiment={name}"
    assert command == expected or command.startswith(f"{expected} ")
    text = "\n".join(rest)
    assert "# hardware:" in text
    assert "# score:" in text
    assert "time" in text
    assert "TODO" not in text


def test_transfer_begins_with_weights_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose_config("train", ["experiment=metfaces1024_transfer", "data.path=x"])
    with pytest.raises(UserError, match=r"init=runs/ffhq1024: there is no file"):
        read_weights(config.init)


def test_the_small_experiments_differ_from_the_default_in_what_they_are_about() -> None:
    default = flat("openmoji")
    names = ("time", "sample_every_kimg", "snapshot_every_kimg", "checkpoint_every_kimg")
    for name, about in (
        ("openmoji_conditional", {"data.use_labels", "discriminator.mapping_layers"}),
        ("openmoji_ada", {"data.max_images", "augment", "total_kimg", "fidelity"}),
    ):
        other = flat(name)
        changed = {key for key in default.keys() | other.keys() if default.get(key) != other.get(key)}
        assert all(key in names or any(f"{key}.".startswith(f"{a}.") for a in about) for key in changed), changed


def flat(name: str) -> dict[str, Any]:
    """Dotted keys and values of an experiment."""

    def walk(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, dict) and value:
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    return dict(walk(plain(compose_config("train", [f"experiment={name}"])), ""))
