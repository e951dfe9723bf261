"""StyleGAN2 in the pickles of NVIDIA's stylegan2-ada-pytorch and stylegan3: `G`, `D` and `G_ema`."""

from collections.abc import Callable
from typing import Any

from stylegen.checkpoints.importers import nvidia_modules, stylegan2_names
from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Inexpressible,
    Weights,
    fit_discriminator,
    fit_generator,
    rename,
)
from stylegen.checkpoints.pickle_data import Record

KIND = "NVIDIA StyleGAN2 (PyTorch)"
_GENERATOR_ARGUMENTS = (
    *("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels"),
    *("mapping_kwargs", "synthesis_kwargs"),
)
_DISCRIMINATOR_ARGUMENTS = (
    *("c_dim", "img_resolution", "img_channels", "architecture", "channel_base", "channel_max"),
    *("num_fp16_res", "conv_clamp", "cmap_dim", "block_kwargs", "mapping_kwargs", "epilogue_kwargs"),
)


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    return isinstance(content, dict) and nvidia_modules.is_module(content.get("G_ema"))


def convert(content: dict[str, Any]) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    return networks(content, KIND, _generator)


def networks(content: dict[str, Any], kind: str, generator: Callable[[Record, str], Weights]) -> ForeignModel:
    """The networks of a file.

    Args:
        generator: converts G and G_ema, from a module and its name. The discriminator is StyleGAN2's.
    """
    notes = []
    averaged = generator(content["G_ema"], "G_ema")
    G = generator(content["G"], "G") if nvidia_modules.is_module(content.get("G")) else None
    D = None
    if nvidia_modules.is_module(content.get("D")):
        try:
            D = _discriminator(content["D"])
        except Inexpressible as error:
            notes.append(f"D left out: {error.problem}: {error.rule}")
    others = sorted(str(key) for key in content.keys() - {"G", "D", "G_ema"} if content[key] is not None)
    if others:
        notes.append(f"{', '.join(others)[:200]} left out: not needed to sample or to start a training")
    return ForeignModel(kind, averaged, D, G, notes)


def _generator(module: Record, part: str) -> Weights:
    state = nvidia_modules.tensors(module)
    if "synthesis.b4.const" not in state:
        raise Inexpressible(f"{part} of the file", "it is neither StyleGAN2's generator nor StyleGAN3's")
    config = nvidia_modules.arguments(module, _GENERATOR_ARGUMENTS)
    clamp = nvidia_modules.attribute(module, "synthesis.b4.conv1.conv_clamp")  # the default differs between versions
    settings = stylegan2_names.generator_settings({"conv_clamp": clamp} | config)
    return fit_generator("stylegan2", settings, rename(state, stylegan2_names.GENERATOR_NAMES), part)


def _discriminator(module: Record) -> Weights:
    state = nvidia_modules.tensors(module)
    if "b4.out.weight" not in state:
        raise Inexpressible("D of the file", "it is not StyleGAN2's")
    config = nvidia_modules.arguments(module, _DISCRIMINATOR_ARGUMENTS)
    config = {"conv_clamp": nvidia_modules.attribute(module, "b4.conv.conv_clamp")} | config
    settings = stylegan2_names.discriminator_settings(config)
    return fit_discriminator("stylegan2", settings, rename(state, stylegan2_names.DISCRIMINATOR_NAMES))
