"""Networks by name. A new architecture is one file and one row here."""

from torch import nn

from stylegen.networks.base import StyleGenerator as StyleGenerator
from stylegen.networks.stylegan2 import Generator as StyleGAN2Generator
from stylegen.networks.stylegan2_discriminator import Discriminator as StyleGAN2Discriminator

GENERATORS: dict[str, type[StyleGenerator]] = {"stylegan2": StyleGAN2Generator}
DISCRIMINATORS: dict[str, type[nn.Module]] = {"stylegan2": StyleGAN2Discriminator}
