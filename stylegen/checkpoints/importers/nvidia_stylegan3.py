"""StyleGAN3, configurations T and R, in the pickles of NVIDIA's stylegan3: `G`, `D` and `G_ema`."""

from typing import Any

from stylegen.checkpoints.importers import nvidia_modules, nvidia_stylegan2, stylegan3_names
from stylegen.checkpoints.importers.foreign_model import ForeignModel, Weights, fit_generator, rename
from stylegen.checkpoints.pickle_data import Record

KIND = "NVIDIA StyleGAN3 (PyTorch)"
_ARGUMENTS = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs")


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    if not nvidia_stylegan2.recognizes(content):
        return False
    return "synthesis.input.freqs" in nvidia_modules.tensors(content["G_ema"])


def convert(content: dict[str, Any]) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    return nvidia_stylegan2.networks(content, KIND, _generator)


def _generator(module: Record, part: str) -> Weights:
    state = nvidia_modules.tensors(module)
    settings = stylegan3_names.generator_settings(nvidia_modules.arguments(module, _ARGUMENTS))
    weights = fit_generator("stylegan3", settings, rename(state, stylegan3_names.GENERATOR_NAMES), part)
    stylegan3_names.check_filters(state, weights.settings)
    return weights
