"""Networks by name."""

import inspect
from collections.abc import Callable
from typing import Any

from stylegen.bounds import check, hints_of
from stylegen.errors import unknown_choice
from stylegen.networks.discriminator import StyleDiscriminator as StyleDiscriminator
from stylegen.networks.generator import Level as Level
from stylegen.networks.generator import StyleGenerator as StyleGenerator
from stylegen.networks.r3gan import Generator as R3GANGenerator
from stylegen.networks.r3gan_discriminator import Discriminator as R3GANDiscriminator
from stylegen.networks.stylegan1 import Generator as StyleGAN1Generator
from stylegen.networks.stylegan1_discriminator import Discriminator as StyleGAN1Discriminator
from stylegen.networks.stylegan2 import Generator as StyleGAN2Generator
from stylegen.networks.stylegan2_discriminator import Discriminator as StyleGAN2Discriminator
from stylegen.networks.stylegan3 import Generator as StyleGAN3Generator

GENERATORS: dict[str, type[StyleGenerator]] = {
    "stylegan1": StyleGAN1Generator,
    "stylegan2": StyleGAN2Generator,
    "stylegan3": StyleGAN3Generator,
    "r3gan": R3GANGenerator,
}
DISCRIMINATORS: dict[str, type[StyleDiscriminator]] = {
    "stylegan1": StyleGAN1Discriminator,
    "stylegan2": StyleGAN2Discriminator,
    "r3gan": R3GANDiscriminator,
}


def build_generator(name: str, **settings: Any) -> StyleGenerator:
    """Construct a generator by name and record every effective setting, defaults included.

    Raises:
        UserError: an unknown name or setting, or an invalid value.
    """
    if name not in GENERATORS:
        raise unknown_choice("generator.name", name, GENERATORS)
    constructor: Callable[..., StyleGenerator] = GENERATORS[name]
    signature = inspect.signature(constructor)
    for setting in settings:
        if setting not in signature.parameters:
            raise unknown_choice(f"generator.{setting}", settings[setting], signature.parameters)
    bound = signature.bind(**settings)
    bound.apply_defaults()
    for setting, hint in hints_of(constructor).items():
        check(f"generator.{setting}", bound.arguments[setting], hint)
    generator = constructor(**bound.arguments)
    generator.settings = dict(bound.arguments)
    return generator
