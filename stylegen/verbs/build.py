"""From a configuration to the parts of a training run. Every check that can fail early is here and runs first."""

import inspect
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from stylegen import randomness
from stylegen.augment import AUGMENTS, Augmentation, Controller
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError, unknown_choice
from stylegen.layers.minibatch_std import check_group
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS, build_generator
from stylegen.regularizers import REGULARIZERS
from stylegen.training.callbacks.wandb import check_mode
from stylegen.training.draws import KeyedDraws
from stylegen.training.ema import EMA
from stylegen.training.module import StyleGANModule
from stylegen.training.optimizer import AdamSettings
from stylegen.verbs.config import plain

_POSITIVE = (
    "total_kimg",
    "batch_size",
    "sample_count",
    "trainer.devices",
    "trainer.num_nodes",
    "optimizer.g_lr",
    "optimizer.d_lr",
)


def build_dataset(config: DictConfig) -> ImageDataset:
    """The training set of `config.data`."""
    return ImageDataset(**{name: value for name, value in plain(config)["data"].items() if name != "workers"})


def check_settings(config: DictConfig, dataset: ImageDataset) -> None:
    """Rules that span several settings.

    Raises:
        UserError: for the first rule that is broken.
    """
    for key in _POSITIVE:
        value = OmegaConf.select(config, key)
        if value <= 0:
            raise UserError(f"{key}={value}", rule="it is greater than 0", fix=f"Use {key}=1 or more")
    if config.batch_size > len(dataset):
        raise UserError(
            f"batch_size={config.batch_size}",
            rule=f"{dataset.name} has {len(dataset)} pictures, fewer than one batch",
            fix=f"Use batch_size={len(dataset)} or less, or more pictures",
        )
    processes = config.trainer.devices * config.trainer.num_nodes
    if config.batch_size % processes:
        raise UserError(
            f"batch_size={config.batch_size}",
            rule=f"it is shared evenly by trainer.devices * trainer.num_nodes = {processes} processes",
            fix=f"Use a multiple of {processes}",
        )
    if config.discriminator.mbstd_num_channels:
        check_group(config.batch_size // processes, config.discriminator.mbstd_group_size)
    check_accelerator(config.trainer.accelerator, config.trainer.devices)
    check_mode(config.logger.mode)


def check_accelerator(accelerator: str, devices: int) -> None:
    """Raise UserError where the machine lacks what `trainer` asks for."""
    counts = {
        "cpu": devices,
        "gpu": torch.cuda.device_count() or int(torch.backends.mps.is_available()),
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if accelerator != "auto" and accelerator not in counts:
        raise unknown_choice("trainer.accelerator", accelerator, ["auto", *counts])
    found = counts["cpu" if accelerator == "auto" and not counts["gpu"] else accelerator.replace("auto", "gpu")]
    if found < devices:
        raise UserError(
            f"trainer.accelerator={accelerator} trainer.devices={devices}",
            rule=f"this machine has {found} of them",
            fix="Use trainer.accelerator=auto, or fewer devices" if found else "Use trainer.accelerator=auto or cpu",
        )


def build_module(config: DictConfig, dataset: ImageDataset) -> StyleGANModule:
    """Networks, loss, regularisers and draws, all a function of the configuration and its seed."""
    settings = plain(config)
    spec = {
        "resolution": dataset.spec.resolution,
        "channels": dataset.spec.channels,
        "num_classes": dataset.spec.num_classes,
    }
    with randomness.seeded_construction(config.seed, "weights/G"):
        generator = build_generator(settings["generator"].pop("name"), **spec, **settings["generator"])
    with randomness.seeded_construction(config.seed, "weights/D"):
        discriminator = _choose("discriminator.name", settings["discriminator"].pop("name"), DISCRIMINATORS)(
            **spec, **settings["discriminator"]
        )
    module = StyleGANModule(
        generator,
        discriminator,
        loss=_choose("loss.name", settings["loss"]["name"], LOSSES),
        regularizers={
            name: _choose("regularizers", name, REGULARIZERS)(**arguments)
            for name, arguments in (settings["regularizers"] or {}).items()
        },
        draws=KeyedDraws(config.seed, generator.z_dim, dataset.labels(), config.style_mixing_prob),
        ema=EMA(**settings["ema"]),
        optimizer=AdamSettings(**settings["optimizer"]),
        w_avg_decay=config.w_avg_decay,
        augment=build_augmentation(settings.get("augment") or {}),
    )
    # Channels last is the faster layout of convolutions on CPUs and on tensor cores alike.
    return module.to(memory_format=torch.channels_last)


def build_augmentation(settings: dict[str, Any]) -> Augmentation | None:
    """What the discriminator's pictures go through.

    Args:
        settings: `name` in `AUGMENTS`, arguments of that pipeline and of `Controller`; empty for none.
    """
    if not settings:
        return None
    strength = {key: settings[key] for key in inspect.signature(Controller).parameters}
    rest = {key: value for key, value in settings.items() if key not in strength and key != "name"}
    return Augmentation(_choose("augment.name", settings["name"], AUGMENTS)(**rest), Controller(**strength))


def _choose(setting: str, name: str, table: dict[str, Any]) -> Any:
    if name not in table:
        raise unknown_choice(setting, name, table)
    return table[name]
