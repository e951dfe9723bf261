"""From a configuration to the parts of a training run."""

import inspect
from typing import Any

import torch
from omegaconf import DictConfig

from stylegen import randomness
from stylegen.augment import AUGMENTS, Augmentation, Controller
from stylegen.data.dataset import ImageDataset
from stylegen.errors import unknown_choice
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS, build_generator
from stylegen.regularizers import REGULARIZERS
from stylegen.training.draws import KeyedDraws
from stylegen.training.ema import EMA
from stylegen.training.module import StyleGANModule
from stylegen.training.optimizer import AdamSettings
from stylegen.verbs.config import plain


def build_dataset(config: DictConfig) -> ImageDataset:
    """The training set of `config.data`."""
    return ImageDataset(**{name: value for name, value in plain(config)["data"].items() if name != "workers"})


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
