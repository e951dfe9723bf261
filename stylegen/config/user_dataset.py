"""`python train.py data.path=X`, and experiment=auto: settings for these images and this machine, as overrides.

On NVIDIA GPUs they are StyleGAN2-ADA's (`conf/experiment/auto.yaml` and `stylegen.config.auto`). Elsewhere they are
`conf/experiment/auto_cpu.yaml`, with the resolution, widths, R1 and augmentation of `_on_a_cpu`. With `init=`, the
networks, resolution and channels come from the trained weights. What the user gives is kept. `--cfg job` prints the
values, `config.yaml` records them, and a continued run does not choose again.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from stylegen.config.auto import auto_settings
from stylegen.config.command_line import key_of
from stylegen.config.initial_networks import InitialNetworks, initial_networks
from stylegen.config.rules import device_type, num_processes
from stylegen.config.train_settings import TrainSettings
from stylegen.cpus import available_cores
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.data.survey import Survey, chosen_resolution, survey_images
from stylegen.features.weights import is_present

RECIPES = {"cuda": "auto", "cpu": "auto_cpu"}
CPU_PX = 64  # a CPU trains four times as long for twice the resolution
# Without augmentation the metric turns after some hundred passes over the images and their mirror images (Karras et al.
# 2020a, arXiv 2006.06676, figure 1); FFHQ's 70,000 are seen 180 times in 25,000 kimg. On a hundred portraits the
# default recipe is better without ADA to its end, 160 passes (docs/small-data.md).
PASSES = 200
_CPU_BATCH, _CPU_KIMG = 8, 200  # auto_cpu.yaml's length
# Settings that only StyleGAN2's networks have: fp32 needs no clamp; eight layers for a label would learn too slowly.
_STYLEGAN2: dict[str, dict[str, Any]] = {
    "generator": {"conv_clamp": "null"},
    "discriminator": {"conv_clamp": "null", "mapping_layers": 2},
}
_FEWEST_EVALUATED = 16
_NUMBERS = (  # positive, or refused later
    *("data.resolution", "data.max_images", "trainer.devices", "trainer.num_nodes", "batch_size", "total_kimg"),
)
_PUBLISHED_GIB = 12  # "at least 12 GB" (StyleGAN2-ADA's README)
_METRICS = {"inception": "fid50k_full", "efficientnet_lite0": "efficientnet_lite0"}  # by extractor, best first
_CPU_METRICS = {"efficientnet_lite0": "efficientnet_lite0"}


def recipe_of(experiment: str | None, path: str | None, accelerator: str) -> str | None:
    """The automatic experiment for data at `path`; None if another one is chosen, or the default for the portraits."""
    if experiment == RECIPES["cpu"]:
        return experiment
    if experiment != RECIPES["cuda"] and (experiment is not None or path in (None, OPENMOJI)):
        return None
    return RECIPES["cuda" if device_type(accelerator) == "cuda" else "cpu"]


def user_dataset_overrides(overrides: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The overrides with the settings chosen for these images; unchanged if no automatic experiment applies.

    Args:
        overrides: `key=value` and `group=option`, as typed.
        values: the same by key, parsed; `data.path` is the one of `data=NAME` if that has one.

    Raises:
        UserError: data that cannot be opened.
    """
    path, accelerator = values.get("data.path"), str(values.get("trainer.accelerator", "auto"))
    recipe = recipe_of(values.get("experiment"), path, accelerator)
    networks = InitialNetworks()
    if values.get("init") is not None and (recipe is not None or values.get("experiment") is None):
        networks = initial_networks(str(values["init"]))
    if recipe is None:  # the default recipe: only what its data and the initial weights require
        chosen = networks.overrides() | _its_resolution(networks)
        return [*(f"{key}={value}" for key, value in chosen.items()), *overrides]
    typed = [override for override in overrides if key_of(override) != "experiment"]
    usable = all(_is_positive(values[key]) for key in _NUMBERS if values.get(key) is not None)
    survey = survey_images(str(path)) if usable and path is not None else None
    if survey is None:  # refused later
        return [f"experiment={recipe}", *typed]
    given = {key_of(override) for override in overrides}
    chosen = choose(survey, recipe, values, networks)
    return [f"experiment={recipe}", *(f"{k}={v}" for k, v in chosen.items() if not _is_given(k, given)), *typed]


def _its_resolution(networks: InitialNetworks) -> dict[str, Any]:
    return {} if networks.resolution is None else {"data.resolution": networks.resolution}


def _is_positive(number: Any) -> bool:
    return isinstance(number, int | float) and number >= 1 / 1000


def _is_given(key: str, given: Collection[str]) -> bool:
    """Whether the user has set this key, or the part of a group without which it does not exist."""
    parts = ("regularizers", key.rpartition(".")[0]) if key.startswith("regularizers.") else ()
    return key in given or any(part in given for part in parts)


def choose(
    survey: Survey, recipe: str, given: Mapping[str, Any], networks: InitialNetworks | None = None
) -> dict[str, Any]:
    """Settings by key, in addition to the experiment's.

    Args:
        given: the user's settings.
        networks: the trained networks that `init=` names; None for new ones.
    """
    networks, on_cpu = networks or InitialNetworks(), recipe == RECIPES["cpu"]
    processes = int(given.get("trainer.devices") or 1) * int(given.get("trainer.num_nodes") or 1)
    resolution = int(given.get("data.resolution") or networks.resolution or _resolution(survey, on_cpu))
    chosen: dict[str, Any] = {"data.resolution": resolution}
    channels = networks.conversion or survey.channels
    if (survey.stored != resolution or channels != survey.channels) and given.get("data.path") != OPENMOJI:
        chosen["data.convert"] = channels
    if networks.num_classes and survey.labels is not None:
        chosen["data.use_labels"] = "true"
    count = min(int(given.get("data.max_images") or survey.count), survey.count)
    items = count * (2 if given.get("data.mirror") is True else 1)
    chosen |= _evaluation(items, _CPU_METRICS if on_cpu else _METRICS, given)
    if not on_cpu:
        return chosen | _on_gpus(resolution, items, processes, given.get("batch_size")) | networks.overrides()
    chosen |= cpu_networks(resolution) | _on_a_cpu(resolution, items, processes, given)
    kinds = {network: given.get(network) or networks.overrides().get(network) for network in _STYLEGAN2}
    for network, own in _STYLEGAN2.items():
        if kinds[network] in (None, "stylegan2"):
            chosen |= {f"{network}.{key}": value for key, value in own.items()}
    total = given.get("total_kimg")
    if total is not None and "optimizer.decay" not in given:
        chosen |= {"optimizer.decay_start_kimg": total * 5 / 8, "optimizer.decay_kimg": total * 3 / 8}
    return chosen | networks.overrides()


def _resolution(survey: Survey, on_cpu: bool) -> int:
    return min(chosen_resolution(survey), CPU_PX) if on_cpu else chosen_resolution(survey)


def cpu_networks(resolution: int) -> dict[str, int]:
    """Widths of networks that were trained on the portraits on a CPU.

    to 32 px    min(32 * resolution / r, 64) feature maps, 64 numbers in z and w: the default recipe
    above       min(16 * resolution / r, 128) feature maps, 128 numbers: openmoji64, the recipe of portraits64
    """
    maps, most = (32, 64) if resolution <= 32 else (16, 128)
    widths = {"channel_base": maps * resolution, "channel_max": most}
    own = {f"{network}.{key}": value for network in ("generator", "discriminator") for key, value in widths.items()}
    return own | {"generator.z_dim": most, "generator.w_dim": most}


def _on_a_cpu(resolution: int, items: int, processes: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Departures from auto_cpu.yaml.

    gamma    = resolution / 32: 1 in the default recipe at 32 px, and 2 in openmoji64
    batch    = 8, less for fewer images
    ADA      = if each image is shown more than 200 times, at the speed of a short run
    """
    batch = given.get("batch_size") or _batch_for(items, max(_CPU_BATCH, processes), processes)
    chosen: dict[str, Any] = {"regularizers.r1.gamma": resolution / 32, "batch_size": batch}
    chosen["discriminator.mbstd_group_size"] = math.gcd(4, max(batch // processes, 1))
    if 1000 * (given.get("total_kimg") or _CPU_KIMG) > PASSES * items:
        chosen["augment"] = "ada_short"
    return chosen


def _evaluation(items: int, metrics: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, str]:
    """The first of the metrics whose weights are on this machine: without a network, a run must start too."""
    if "evaluation.metrics" in given:
        return {}
    weights = given.get("evaluation.weights")
    present = (name for extractor, name in metrics.items() if is_present(extractor, weights))
    return {"evaluation": "none" if items < _FEWEST_EVALUATED else next(present, "none")}


def _on_gpus(resolution: int, items: int, processes: int, batch_size: int | None) -> dict[str, Any]:
    """A batch that the images fill, and parts of it that fit a GPU with less memory than the published ones."""
    batch = auto_settings(resolution, processes, batch_size)["batch_size"]
    chosen: dict[str, Any] = {}
    if batch > items:
        batch = chosen["batch_size"] = _batch_for(items, batch, processes)
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30 if torch.cuda.is_available() else _PUBLISHED_GIB
    share, group = batch // processes, max(min(batch // processes, 4), 1)
    while gib < _PUBLISHED_GIB * 0.9 and share % (2 * group) == 0:
        share, gib = share // 2, gib * 2
    if share < batch // processes:
        chosen["batch_per_device"] = share
    if share == 1 < batch:
        chosen["regularizers.path_length.batch_shrink"] = 1
    return chosen


def _batch_for(items: int, most: int, processes: int) -> int:
    """The largest power of two for each process that the images fill, at most `most` in all.

    With fewer images than processes, a batch that is refused later.
    """
    share = min(items, most) // processes
    return processes << (share.bit_length() - 1) if share else items


def reasons(settings: TrainSettings, dataset: ImageDataset) -> list[str]:
    """What an automatic run has for its images and why, in at most five lines; [] for other runs."""
    data = settings.data
    survey = survey_images(str(data.path), resolution=data.resolution) if settings.auto else None
    if survey is None:
        return []
    on_gpu, side = device_type(settings.trainer.accelerator) == "cuda", dataset.spec.resolution
    networks = InitialNetworks() if settings.init is None else initial_networks(str(settings.init))
    lines = [str(survey), _size(settings, survey, side, on_gpu, networks)]
    lines += [_networks(settings, side, on_gpu, networks), _augmentation(settings, dataset)]
    if not on_gpu:
        cores = available_cores()
        better = f"StyleGAN2-ADA's at {_resolution(survey, on_cpu=False)} px"
        lines.append(
            f"warning: networks for {cores} CPU core{'s' * (cores > 1)}, far from published quality; on a GPU the same "
            f"command trains {better if networks.resolution is None else 'them in less time'}"
        )
    return lines


def _size(settings: TrainSettings, survey: Survey, side: int, on_gpu: bool, networks: InitialNetworks) -> str:
    full = _resolution(survey, on_cpu=False)
    converted = settings.data.convert is not None
    how = f"{side} px (data.convert={settings.data.convert})" if converted else f"{side} px, as stored"
    if side == networks.resolution:
        enlarged = ", to which smaller images are enlarged" * (survey.natural < side)
        return f"{how}: the resolution of init={settings.init}{enlarged}"
    why = ": the largest power of two that they fill" * (converted and side == full != survey.side)
    if side == _resolution(survey, on_cpu=True) < full and not on_gpu:
        why = ": about the largest that a CPU trains in hours"
    times = "twice" if side == 32 and not on_gpu else "four times"  # `cpu_networks` has half of the maps from 64 px on
    return f"{how}{why}" + f"; data.resolution={2 * side} takes {times} as long" * (side < full)


def _networks(settings: TrainSettings, side: int, on_gpu: bool, networks: InitialNetworks) -> str:
    base, most = settings.generator.channel_base, settings.generator.channel_max
    parts = [f"batch {settings.batch_size}"]
    parts += [f"{settings.batch_per_device} per device at a time"] * (settings.batch_per_device is not None)
    parts += [f"{min(base // side, most)} to {min(base // 4, most)} feature maps"]
    parts += [f"r1.gamma={settings.regularizers.r1.gamma:g}"] * ("r1" in settings.regularizers)
    if networks.settings:
        new = "" if networks.has_discriminator else "; it holds no discriminator, which starts from random weights"
        return f"{', '.join(parts)}: the networks of init={settings.init}{new}"
    if on_gpu:
        return f"{', '.join(parts)}: StyleGAN2-ADA's for {num_processes(settings)} GPU(s)"
    own = (base, most) == tuple(cpu_networks(side)[f"generator.channel_{end}"] for end in ("base", "max"))
    return ", ".join(parts) + f": as for the portraits at {32 if side <= 32 else 64} px" * own


def _augmentation(settings: TrainSettings, dataset: ImageDataset) -> str:
    passes, name = 1000 * settings.total_kimg / len(dataset), getattr(settings.augment, "name", "none")
    if name != ("ada" if passes > PASSES else "none"):
        return f"augment={name}"
    times = f"{passes:,.0f} times" if passes >= 1.5 else "once"
    return f"augment={name}: each image is shown {times}; above {PASSES}, the discriminator may memorize them"
