"""Every experiment composes and builds, has a complete header, and published ones have the published values."""

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from stylegen.augment.pipeline import PRESETS, AdaPipeline
from stylegen.checkpoints.transfer import read_weights
from stylegen.config.compose import check_complete, compose_config
from stylegen.config.sections import as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import UserError
from stylegen.losses import LOSSES
from stylegen.metrics.protocol.registry import METRICS
from stylegen.networks.r3gan import Synthesis as R3GANSynthesis
from stylegen.regularizers import REGULARIZERS
from stylegen.regularizers.r1 import R1
from stylegen.runs.build import build_step
from stylegen.spec import ImageSpec
from stylegen.training.growth import Growth
from stylegen.training.phases import build_phases, lazy_correction
from tests.support.experiment_headers import DIRECTORY, NAMES, PAGE, page, read_header
from tests.support.published_settings import PUBLISHED, R3GAN, Row

OURS = (
    "auto",
    "auto_cpu",
    "none",
    "openmoji",
    "openmoji64",
    "openmoji_ada",
    "openmoji_conditional",
    "openmoji_stylegan1",
    "openmoji_stylegan3",
)
TRAINED = [name for name in NAMES if name != "none"]
_PATH = re.compile(r"^path: (\S+\.zip)$", re.MULTILINE)


@functools.cache
def compose(name: str) -> TrainSettings:
    """Cached: do not modify the result."""
    data = "data.path=openmoji" if name.startswith("auto") else "data.path=x"  # `auto` reads the images
    return compose_config("train", [f"experiment={name}", data])


def resolution_of(name: str) -> int:
    return next((int(r) for r in ("1024", "512", "256") if r in name), 32)


@pytest.mark.parametrize("name", NAMES)
def test_it_builds(name: str) -> None:
    config, resolution = compose(name), resolution_of(name)
    check_complete(config)
    assert config.total_kimg > 0
    classes = 3 if config.data.use_labels else 0
    dataset = SimpleNamespace(spec=ImageSpec(resolution, 3, classes), labels=lambda: torch.zeros(1, classes))
    with torch.device("meta"):
        step = build_step(config, dataset)
    assert (step.G.resolution, step.G.num_classes) == (resolution, classes)
    assert (step.augment is None) == (not config.augment)


def test_every_recipe_of_others_has_a_published_row() -> None:
    assert sorted([*PUBLISHED, *R3GAN, *OURS]) == NAMES


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_holds_the_published_numbers(name: str) -> None:
    config, row = compose(name), PUBLISHED[name]
    found = settings(config, resolution_of(name))
    expected = expected_at(row, resolution_of(name))
    assert set(expected) <= set(found)
    assert {key: found[key] for key in expected} == expected
    assert (config.optimizer.rampup_kimg, config.optimizer.decay) == (0, "none")
    assert (config.discriminator.mbstd_num_channels, config.discriminator.arguments.get("mapping_layers", 8)) == (1, 8)


@pytest.mark.parametrize("name", R3GAN)
def test_r3gan_holds_the_published_numbers(name: str) -> None:
    config, row, resolution = compose(name), R3GAN[name], resolution_of(name)
    embedded = row["label_embeddings"] is not None
    dataset = SimpleNamespace(spec=ImageSpec(resolution, 3, 3 * embedded), labels=lambda: torch.zeros(1, 3 * embedded))
    with torch.device("meta"):
        step = build_step(config, dataset)
    G, D, augment, end = step.G, step.D, step.augment, row["schedule"] * 1000
    assert isinstance(G.synthesis, R3GANSynthesis)
    assert augment is not None
    assert isinstance(augment.pipeline, AdaPipeline)
    assert config.data.use_labels == embedded
    if embedded:
        sizes = G.get_submodule("mapping.embedding"), D.get_submodule("embedding")
        assert tuple(layer.weight.shape[0] for layer in sizes) == row["label_embeddings"]
    stages = list(G.synthesis.stages.values())
    assert [stage.width for stage in stages] == row["widths"]
    assert [stage.groups for stage in stages] == row["cardinality"]
    assert (config.generator.expansion, config.generator.kernel_size) == (2, 3)
    assert list(config.generator.resample_taps) == [1, 3, 3, 1]
    assert (G.z_dim, config.batch_size, config.data.mirror) == (row["z"], row["batch"], True)
    assert config.total_kimg == row["kimg"]
    assert (config.precision, sorted(G.synthesis.blocks_by_resolution())[-config.half_resolutions :]) == (
        "bf16",
        row["bf16"],
    )
    assert (config.loss.name, config.loss.pairing, config.style_mixing_prob) == ("relativistic", "single", 0)
    assert {phase.name: phase.interval for phase in step.phases} == {"G_main": 1, "D_main": 1}
    for number, images in enumerate((0, end)):
        for regularizer in step.regularizers.values():
            assert isinstance(regularizer, R1)
            assert regularizer.schedule.at(images) == pytest.approx(row["gamma"][number])
            assert regularizer.schedule.at(end // 2) == pytest.approx(sum(row["gamma"]) / 2)
        for optimizer in step.optimizers.values():
            config.optimizer.set_rate(optimizer, images)
            group = optimizer.param_groups[0]
            assert (group["lr"], *group["betas"], group["eps"]) == pytest.approx(
                (row["lr"][number], 0, row["beta2"][number], 1e-8)
            )
        augment.controller.begin_step(images)
        assert augment.controller.p == pytest.approx(row["augment"][number])
        assert step.options.ema.schedule.at(images) == pytest.approx(row["ema"][number])
    assert list(step.regularizers) == ["r1", "r2"]
    assert config.ema.rampup is None
    operations = PRESETS["blit"] + PRESETS["geom"] + PRESETS["color"] + PRESETS["cutout"]
    assert (augment.pipeline.operations, augment.pipeline.color_multiplier) == (set(operations), 0.5)
    assert list(config.evaluation.metrics) == row["metrics"]


def expected_at(row: Row, resolution: int) -> Row:
    """A published row at one resolution."""
    expected = dict(row)
    for key in ("batches", "rates"):
        if key in row:
            expected[key] = {r: value for r, value in row[key].items() if r <= resolution}
    if "num_fp16_res" in row:  # published: fp16 from max(2^(log2(resolution) + 1 - num_fp16_res), 8) px on
        expected["half_from"] = max(resolution >> (expected.pop("num_fp16_res") - 1), 8)
    return expected


def settings(config: TrainSettings, resolution: int) -> Row:
    """The fields of `tests.support.published_settings`, read from a configuration."""
    G, D, regularizers, augment = config.generator, config.discriminator, config.regularizers, config.augment
    found = {
        "generator": G.name,
        "discriminator": D.name,
        "G_maps": G.channel_base,
        "D_maps": D.channel_base,
        "max_maps": (G.channel_max + D.channel_max) / 2,
        "mapping": G.mapping_layers,
        "z": G.z_dim,
        "w": G.w_dim,
        "mapping_lr": G.mapping_lr_multiplier,
        "noise": G.arguments.get("use_noise", False),
        "kimg": config.total_kimg,
        "mixing": config.style_mixing_prob,
        "w_avg": config.w_avg_decay,
        "ema": config.ema.kimg,
        "rampup": config.ema.rampup,
        "mbstd": D.mbstd_group_size,
        "mirror": config.data.mirror,
        "labels": config.data.use_labels,
        "loss": config.loss.name,
        "precision": config.precision,
        "augment": None,
        "path_length": None,
        "adam": adam(config),
        "blur": (config.blur.sigma, config.blur.fade_kimg) if config.blur.sigma else None,
        "metrics": [m for m in config.evaluation.metrics if m != "is50k"],
    }
    if "r1" in regularizers:
        found |= {"gamma": regularizers.r1.gamma, "r1_every": regularizers.r1.every}
    if "wgan_gp" in regularizers:
        found["wgan_gp"] = tuple(regularizers.wgan_gp[key] for key in ("weight", "target", "every"))
        found["drift"] = tuple(regularizers.drift[key] for key in ("weight", "every"))
        assert "r1" not in regularizers
    if augment:
        found["augment"] = (augment.preset, augment.target, augment.every, augment.speed_kimg)
        assert augment.p == 0
    if "path_length" in regularizers:
        path_length = regularizers.path_length
        found["path_length"] = tuple(path_length[key] for key in ("weight", "every", "batch_shrink", "decay"))
    if G.name == "stylegan1":
        found["styles"] = G.conditioning
        found["const_input"] = G.conditioning == "adain" if G.const_input is None else G.const_input
        assert (G.blur_taps, G.fused_from) == (D.blur_taps, D.fused_from)
        found["resampling"] = (list(G.blur_taps), G.fused_from)
        return found | growth(config, resolution)
    if G.name == "stylegan3":
        found |= {"kernel": G.conv_kernel, "radial": G.use_radial_filters, "layers": (G.num_layers, G.num_critical)}
        found |= {"magnitudes": G.magnitude_ema_beta}
    else:
        assert list(G.resample_taps) == list(D.resample_taps)
        found["G_architecture"] = G.architecture
    found |= {"D_architecture": D.architecture, "taps": list(D.resample_taps)}
    found |= {"batch": config.batch_size, "clamp": G.conv_clamp if G.conv_clamp == D.conv_clamp else "unlike"}
    if config.precision != "fp32":
        found["half_from"] = max(resolution >> (config.half_resolutions - 1), 4)
    return found


def adam(config: TrainSettings) -> dict[str, Any]:
    """Adam's rate and beta2 for each network; beta1 is 0."""
    regularizers = {key: REGULARIZERS[key](**arguments) for key, arguments in config.regularizers.items()}
    phases = build_phases(LOSSES["nonsaturating"](), regularizers)
    found = {}
    for network in ("G", "D"):
        correction = lazy_correction(phases, network)
        parameters = [nn.Parameter(torch.zeros(1))]
        defaults = config.optimizer.build(network, parameters, correction).defaults
        assert (defaults["betas"][0], defaults["eps"]) == (0, 1e-8)
        found[network] = pytest.approx((defaults["lr"], defaults["betas"][1]), rel=1e-12)
    return found


def growth(config: TrainSettings, resolution: int) -> Row:
    """The schedule of a growing run, by resolution."""
    schedule = Growth(resolution, config.batch_size, **config.growth)
    stages = {stage.resolution: stage for stage in schedule.stages(round(config.total_kimg * 1000)) if stage.alpha == 1}
    assert max(stages) == resolution
    assert config.optimizer.g_lr == config.optimizer.d_lr
    return {
        "start": min(stages),
        "stable": config.growth.stable_kimg,
        "fade": config.growth.fade_kimg,
        "batches": {r: stage.batch_size for r, stage in stages.items()},
        "rates": {r: pytest.approx(stage.rate * config.optimizer.g_lr) for r, stage in stages.items()},
    }


@pytest.mark.parametrize("name", TRAINED)
def test_its_header_has_command_hardware_time_and_metric(name: str) -> None:
    header = read_header(name)
    expected = "python train.py" if name == "openmoji" else f"python train.py experiment={name}"
    assert header.command == expected or header.command.startswith(f"{expected} ")
    assert header.summary
    assert {"hardware", "time", "metric"} <= {label for label, text in header.labels.items() if text}
    assert "TODO" not in str(header)


@pytest.mark.parametrize("name", [*PUBLISHED, *R3GAN])
def test_its_metric_is_named_and_measured(name: str) -> None:
    """Every published value follows the name of its metric, and the run measures that metric."""
    metric = read_header(name).labels["metric"]
    measured = list(compose(name).evaluation.metrics)
    assert set(measured) <= set(METRICS)
    if metric.startswith("not published"):
        return
    named = re.match(r"(fid50k\w*)\b", metric)
    assert named
    assert named[1] == measured[0]
    assert "arXiv" in metric


@pytest.mark.parametrize("name", [*PUBLISHED, *R3GAN])
def test_one_gpu_needs_the_memory_of_one_of_many(name: str) -> None:
    """The command for one GPU has micro-batches of the same size, with whole minibatch standard deviation groups."""
    header, config = read_header(name), compose(name)
    many, one = (shlex.split(command) for command in (header.command, header.labels["one GPU"]))
    assert many[:-1] == one[:-1] == ["python", "train.py", f"experiment={name}", *one[3:-1]]
    devices, share = (int(words[-1].partition("=")[2]) for words in (many, one))
    assert [many[-1], one[-1]] == [f"trainer.devices={devices}", f"batch_per_device={share}"]
    assert config.trainer.devices == 1 < devices
    assert share == config.batch_size // devices
    group = config.discriminator.arguments.get("mbstd_group_size", 1)
    for batch in config.growth.batch_sizes if config.growth else [config.batch_size]:
        assert batch % devices == batch % share == 0
        assert batch // devices % group == 0
        assert share % group == 0


def test_the_page_lists_all_experiments() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.support.experiment_headers`"


def test_the_datasets_page_describes_how_the_data_are_prepared() -> None:
    text = (PAGE.parent / "datasets.md").read_text()
    commands = [read_header(name).command for name in PUBLISHED]
    files = {match[1] for command in commands for match in re.finditer(r"data\.path=(\S+)", command)}
    files |= {
        match[1] for path in (DIRECTORY.parent / "data").glob("*.yaml") for match in _PATH.finditer(path.read_text())
    }
    assert len(files) > 12
    assert not [name for name in files if f"out={name}" not in text]


def test_transfer_begins_with_weights_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose_config("train", ["experiment=metfaces1024_transfer", "data.path=x"])
    with pytest.raises(UserError, match=r"init=runs/ffhq1024: there is no such file"):
        read_weights(config.init)


def test_the_small_experiments_differ_in_what_they_are_about() -> None:
    """They share the recipe that both were measured with; the default run's was found for ten minutes."""
    first, second = flat("openmoji_conditional"), flat("openmoji_ada")
    about = (
        "data.use_labels",
        "discriminator.mapping_layers",
        "data.max_images",
        "augment",
        "total_kimg",
        "evaluation",
    )
    about += ("sample_every_kimg", "snapshot_every_kimg", "checkpoint_every_kimg")
    changed = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    assert all(any(f"{key}.".startswith(f"{name}.") for name in about) for key in changed), changed


def flat(name: str) -> dict[str, Any]:
    """Dotted keys and values of an experiment."""

    def walk(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, dict) and value:
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    return dict(walk(as_dict(compose_config("train", [f"experiment={name}"])), ""))
