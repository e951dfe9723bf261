"""Builds dataset, networks, losses and optimizers from the settings."""

import inspect
import os
from collections.abc import Callable

import torch
from torch import nn

from stylegen import randomness
from stylegen.augment import AUGMENTS, Augmentation, Controller
from stylegen.config.sections import Component
from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS, StyleDiscriminator, StyleGenerator, build_generator
from stylegen.regularizers import REGULARIZERS
from stylegen.spec import ImageSpec
from stylegen.training.batches import TrainingData
from stylegen.training.blur import BlurRamp
from stylegen.training.ema import EMA
from stylegen.training.freeze import frozen_parameters
from stylegen.training.growth import Growth
from stylegen.training.precision import Precision
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep


def build_dataset(settings: TrainSettings) -> ImageDataset:
    """The training set."""
    return ImageDataset(**{name: value for name, value in settings.data.items() if name != "workers"})


def build_step(settings: TrainSettings, dataset: ImageDataset) -> TrainingStep:
    """Networks, losses and random inputs, on the CPU; determined by the settings and their seed."""
    check_memory(settings, dataset.spec)
    with randomness.seeded_construction(settings.seed, "weights/G"):
        generator = new_generator(settings.generator, dataset.spec)
    with randomness.seeded_construction(settings.seed, "weights/D"):
        discriminator = new_discriminator(settings.discriminator, dataset.spec)
    objective = Objective(
        loss=LOSSES[settings.loss.name](**settings.loss.arguments),
        regularizers={name: REGULARIZERS[name](**arguments) for name, arguments in settings.regularizers.items()},
        augment=build_augmentation(settings.augment),
        blur=BlurRamp(**settings.blur),
    )
    options = StepOptions(
        optimizer=settings.optimizer,
        ema=EMA(**settings.ema),
        w_avg_decay=settings.w_avg_decay,
        batch_per_device=settings.batch_per_device,
        precision=Precision(settings.precision, settings.half_resolutions),
        growth=build_growth(settings, dataset.spec.resolution, generator, discriminator),
        frozen=frozen_parameters(discriminator, settings.freeze_d),
        d_steps_per_g_step=settings.d_steps_per_g_step,
        bad_steps=settings.bad_steps,
    )
    random_inputs = KeyedRandomInputs(settings.seed, generator.z_dim, dataset.labels(), settings.style_mixing_prob)
    # Convolutions are faster in channels-last layout, on CPUs and on tensor cores.
    return TrainingStep(generator, discriminator, objective, random_inputs, options).to(
        memory_format=torch.channels_last
    )


def build_data(settings: TrainSettings, dataset: ImageDataset, step: TrainingStep) -> TrainingData:
    """The batches of the run; their size depends on the resolution if the networks grow."""
    return TrainingData(
        dataset=dataset,
        batch_size=settings.batch_size if step.growth is None else step.growth.batch_at,
        total_images=round(settings.total_kimg * 1000),
        seed=settings.seed,
        workers=settings.data.workers,
    )


def check_memory(settings: TrainSettings, spec: ImageSpec) -> None:
    """Raise UserError for networks that exceed this machine's memory, without building them.

    Training takes five numbers per parameter of G (weight, gradient, two moments of Adam, EMA) and four of D, and
    activations in addition.
    """
    with torch.device("meta"):
        networks = new_generator(settings.generator, spec), new_discriminator(settings.discriminator, spec)
    g, d = (sum(parameter.numel() for parameter in network.parameters()) for network in networks)
    needed, available = 4 * (5 * g + 4 * d), _memory()
    if needed > available:
        raise UserError(
            f"a generator of {g / 1e6:,.0f} million parameters and a discriminator of {d / 1e6:,.0f}",
            rule=f"training needs at least {needed / 2**30:,.0f} GiB, and this machine has {available / 2**30:,.0f}",
            fix="Use smaller channel_base, channel_max, w_dim or mapping_layers under generator.* and discriminator.*",
        )


def _memory() -> int:
    """Size of the largest memory in bytes: main memory or a GPU's."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else []
    sizes += [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]
    return max(sizes, default=2**40)


def new_generator(settings: Component, spec: ImageSpec) -> StyleGenerator:
    """A generator for these images; weights come from torch's global generator."""
    return build_generator(settings.name, **settings.arguments, **vars(spec))


def new_discriminator(settings: Component, spec: ImageSpec) -> StyleDiscriminator:
    """A discriminator for these images; weights come from torch's global generator."""
    constructor: Callable[..., StyleDiscriminator] = DISCRIMINATORS[settings.name]
    return constructor(**settings.arguments, **vars(spec))


def build_growth(
    settings: TrainSettings, resolution: int, generator: StyleGenerator, discriminator: nn.Module
) -> Growth | None:
    """The schedule of progressive growing; None for `growth=none`.

    Raises:
        UserError: impossible settings, or networks of a fixed resolution.
    """
    if settings.growth is None:
        return None
    if len(generator.resolutions) == 1 or not hasattr(discriminator, "set_level"):
        raise UserError(
            f"growth with generator={generator.name} discriminator={settings.discriminator.name}",
            rule="these networks have a fixed resolution",
            fix="Use generator=stylegan1 discriminator=stylegan1, or growth=none",
        )
    return Growth(resolution, settings.batch_size, **settings.growth)


def build_augmentation(settings: Component | None) -> Augmentation | None:
    """The augmentation of the discriminator's images.

    Args:
        settings: a name in `AUGMENTS`, with the arguments of that pipeline and of `Controller`; None for neither.
    """
    if settings is None:
        return None
    strength = {key: settings.arguments[key] for key in inspect.signature(Controller).parameters}
    rest = {key: value for key, value in settings.arguments.items() if key not in strength}
    return Augmentation(AUGMENTS[settings.name](**rest), Controller(**strength))
