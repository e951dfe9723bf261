"""`python train.py data.path=X`, and experiment=auto: settings for these images and this machine, as overrides.

On NVIDIA GPUs they are StyleGAN2-ADA's (`conf/experiment/auto.yaml` and `stylegen.config.auto`). Elsewhere they are
`conf/experiment/auto_cpu.yaml`, with the resolution, widths, R1 and augmentation of `_on_a_cpu`. What the user gives is
kept. `--cfg job` prints the values, `config.yaml` records them, and a continued run does not choose again.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from stylegen.config.auto import auto_settings
from stylegen.config.command_line import key_of
from stylegen.config.rules import device_type, num_processes
from stylegen.config.train_settings import TrainSettings
from stylegen.cpus import available_cores
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.data.survey import Survey, chosen_resolution, survey_images
from stylegen.features.weights import is_present

RECIPES = {"cuda": "auto", "cpu": "auto_cpu"}
CPU_PX = 64  # a CPU trains four times as long for twice the resolution
FEW_IMAGES = 2000  # below, each is shown more than a hundred times in 200 kimg
_CPU_BASE, _CPU_BATCH = 32, 8  # channel_base = 32 * resolution: the default recipe's 1024 at 32 px
_CPU_WIDTHS = ("generator.channel_base", "discriminator.channel_base")
# Settings that only StyleGAN2's networks have: fp32 needs no clamp; eight layers for a label would learn too slowly.
_STYLEGAN2: dict[str, dict[str, Any]] = {
    "generator": {"conv_clamp": "null"},
    "discriminator": {"conv_clamp": "null", "mapping_layers": 2},
}
_FEWEST_EVALUATED = 16
_NUMBERS = (
    *("data.resolution", "data.max_images", "trainer.devices", "trainer.num_nodes", "batch_size", "total_kimg"),
)
_PUBLISHED_GIB = 12  # "at least 12 GB" (StyleGAN2-ADA's README)
_EXTRACTOR = "efficientnet_lite0"


def recipe_of(experiment: str | None, path: str | None, accelerator: str) -> str | None:
    """The automatic experiment for data at `path`; None if another one is chosen, or the default for the portraits."""
    if experiment == RECIPES["cpu"]:
        return experiment
    if experiment != RECIPES["cuda"] and (experiment is not None or path in (None, OPENMOJI)):
        return None
    return RECIPES["cuda" if device_type(accelerator) == "cuda" else "cpu"]


def own_overrides(overrides: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The overrides with the settings chosen for these images; unchanged if no automatic experiment applies.

    Args:
        overrides: as typed.
        values: the same by key, parsed; `data.path` is the one of `data=NAME` if that has one.

    Raises:
        UserError: data that cannot be opened.
    """
    path, accelerator = values.get("data.path"), str(values.get("trainer.accelerator", "auto"))
    recipe = recipe_of(values.get("experiment"), path, accelerator)
    if recipe is None:
        return list(overrides)
    typed = [override for override in overrides if key_of(override) != "experiment"]
    usable = all(_is_positive(values[key]) for key in _NUMBERS if values.get(key) is not None)
    survey = survey_images(str(path)) if usable and path is not None else None
    if survey is None:  # refused later
        return [f"experiment={recipe}", *typed]
    given = {key_of(override) for override in overrides}
    chosen = choose(survey, recipe, values)
    return [f"experiment={recipe}", *(f"{k}={v}" for k, v in chosen.items() if not _is_given(k, given)), *typed]


def _is_positive(number: Any) -> bool:
    return isinstance(number, int | float) and number >= 1 / 1000


def _is_given(key: str, given: Collection[str]) -> bool:
    """Whether the user has set this key, or the part of a group without which it does not exist."""
    parts = ("regularizers", "regularizers.r1") if key.startswith("regularizers.") else ()
    return key in given or any(part in given for part in parts)


def choose(survey: Survey, recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by key, in addition to those of the experiment; `given` are the user's."""
    on_cpu = recipe == RECIPES["cpu"]
    processes = int(given.get("trainer.devices") or 1) * int(given.get("trainer.num_nodes") or 1)
    resolution = int(given.get("data.resolution") or _resolution(survey, on_cpu))
    chosen: dict[str, Any] = {"data.resolution": resolution}
    if survey.stored != resolution and given.get("data.path") != OPENMOJI:
        chosen["data.convert"] = survey.channels
    count = min(int(given.get("data.max_images") or survey.count), survey.count)
    items = count * (2 if given.get("data.mirror") is True else 1)
    if not on_cpu:
        return chosen | _on_gpus(resolution, items, processes, given.get("batch_size"))
    chosen |= _on_a_cpu(resolution, items, processes, given.get("batch_size"))
    for network, own in _STYLEGAN2.items():
        if given.get(network, "stylegan2") == "stylegan2":
            chosen |= {f"{network}.{key}": value for key, value in own.items()}
    total = given.get("total_kimg")
    if total is not None and "optimizer.decay" not in given:
        chosen |= {"optimizer.decay_start_kimg": total * 5 / 8, "optimizer.decay_kimg": total * 3 / 8}
    return chosen


def _resolution(survey: Survey, on_cpu: bool) -> int:
    return min(chosen_resolution(survey), CPU_PX) if on_cpu else chosen_resolution(survey)


def _on_a_cpu(resolution: int, items: int, processes: int, batch_size: int | None) -> dict[str, Any]:
    """Departures from auto_cpu.yaml.

    widths   = 32 * resolution / r feature maps, at most 64
    gamma    = (resolution / 32)^2, StyleGAN2-ADA's dependence on the resolution
    batch    = 8, less for fewer images
    ADA      = below 2,000 images, at the speed of a short run
    """
    batch = batch_size or _batch_for(items, max(_CPU_BATCH, processes))
    chosen: dict[str, Any] = dict.fromkeys(_CPU_WIDTHS, _CPU_BASE * resolution)
    chosen |= {"regularizers.r1.gamma": (resolution / 32) ** 2, "batch_size": batch}
    chosen["discriminator.mbstd_group_size"] = max(min(4, batch // processes), 1)
    if items < FEW_IMAGES:
        chosen["augment"] = "ada_short"
    if items < _FEWEST_EVALUATED or not is_present(_EXTRACTOR):
        chosen["evaluation"] = "none"
    return chosen


def _on_gpus(resolution: int, items: int, processes: int, batch_size: int | None) -> dict[str, Any]:
    """A batch that the images fill, and parts of it that fit a GPU with less memory than the published ones."""
    batch = auto_settings(resolution, processes, batch_size)["batch_size"]
    chosen: dict[str, Any] = {}
    if batch > items:
        batch = chosen["batch_size"] = _batch_for(items, batch)
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30 if torch.cuda.is_available() else _PUBLISHED_GIB
    share, group = batch // processes, max(min(batch // processes, 4), 1)
    while gib < _PUBLISHED_GIB * 0.9 and share % (2 * group) == 0:
        share, gib = share // 2, gib * 2
    if share < batch // processes:
        chosen["batch_per_device"] = share
    return chosen


def _batch_for(items: int, most: int) -> int:
    """The largest power of two that the images fill, at most `most`."""
    return min(most, 1 << (items.bit_length() - 1))


def reasons(settings: TrainSettings, dataset: ImageDataset) -> list[str]:
    """What an automatic run has for its images and why, in at most five lines; [] for other runs."""
    survey = survey_images(str(settings.data.path)) if settings.auto else None
    if survey is None:
        return []
    on_gpu, side = device_type(settings.trainer.accelerator) == "cuda", dataset.spec.resolution
    full = _resolution(survey, on_cpu=False)
    small = side == _resolution(survey, on_cpu=True) < full
    converted = settings.data.convert is not None
    how = f"{side} px (data.convert={settings.data.convert})" if converted else f"{side} px, as stored"
    why = ": the largest power of two that they fill" * (converted and side == full)
    if small and not on_gpu:
        why = ": about the most that a CPU trains in hours"
    larger = f"; data.resolution={2 * side} takes four times as long" * (side < full)
    lines = [str(survey), f"{how}{why}{larger}", _networks(settings, side, on_gpu), _augmentation(settings, dataset)]
    if not on_gpu:
        cores = available_cores()
        lines.append(
            f"warning: networks for {cores} CPU core{'s' * (cores > 1)}, far from published quality; on a GPU the same "
            f"command trains StyleGAN2-ADA's at {full} px"
        )
    return lines


def _networks(settings: TrainSettings, side: int, on_gpu: bool) -> str:
    base, most = settings.generator.channel_base, settings.generator.channel_max
    parts = [f"batch {settings.batch_size}"]
    parts += [f"{settings.batch_per_device} per device at a time"] * (settings.batch_per_device is not None)
    parts += [f"{min(base // side, most)} to {min(base // 4, most)} feature maps"]
    parts += [f"r1.gamma={settings.regularizers.r1.gamma:g}"] * ("r1" in settings.regularizers)
    if on_gpu:
        return f"{', '.join(parts)}: StyleGAN2-ADA's for {num_processes(settings)} GPU(s)"
    return ", ".join(parts) + ": found by search for CPUs at 32 px, scaled" * (base == _CPU_BASE * side)


def _augmentation(settings: TrainSettings, dataset: ImageDataset) -> str:
    few, name = len(dataset) < FEW_IMAGES, "none" if settings.augment is None else settings.augment.name
    if few and name == "ada":
        return f"augment=ada: fewer than {FEW_IMAGES:,} images, which the discriminator would memorize"
    if not few and name == "none":
        return f"augment=none: {FEW_IMAGES:,} images or more"
    return f"augment={name}"
