"""R3GAN in the pickles of its authors' code: `G`, `D` and `G_ema`, whole modules of torch.nn."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stylegen.checkpoints.importers import nvidia_modules, r3gan_names
from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Inexpressible,
    Renamed,
    Weights,
    fit_discriminator,
    fit_generator,
)
from stylegen.checkpoints.pickle_data import Record
from stylegen.layers.resample import fir_filter

KIND = "R3GAN"
_NETWORKS = "training.networks"
_MODULES = (_NETWORKS, "R3GAN.", "torch.nn.modules.")
_FILTER_ERROR = 1e-4


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    return isinstance(content, dict) and _is_network(content.get("G_ema"), "Generator")


def convert(content: dict[str, Any]) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    notes = []
    averaged = _generator(content["G_ema"], "G_ema")
    G = _generator(content["G"], "G") if _is_network(content.get("G"), "Generator") else None
    D = _discriminator(content["D"]) if _is_network(content.get("D"), "Discriminator") else None
    others = sorted(str(key) for key in content.keys() - {"G", "D", "G_ema"} if content[key] is not None)
    if others:
        notes.append(f"{', '.join(others)[:200]} left out: not needed to sample or to start a training")
    return ForeignModel(KIND, averaged, D, G, notes)


def _is_module(value: Any) -> bool:
    return isinstance(value, Record) and value.module.startswith(_MODULES) and isinstance(value.state, dict)


def _is_network(value: Any, name: str) -> bool:
    return _is_module(value) and (value.module, value.name) == (_NETWORKS, name)


def _generator(module: Record, part: str) -> Weights:
    state = _tensors(module)
    config = _config(state, first=1) | {
        "NoiseDimension": module.state["z_dim"],
        "c_dim": module.state["c_dim"],
        "img_resolution": module.state["img_resolution"],
    }
    named = r3gan_names.generator_names(state)
    w_avg = torch.zeros(config["NoiseDimension"])  # the mean of z
    if (embedding := named.tensors.get("mapping.embedding.weight")) is not None:
        w_avg = torch.cat([w_avg, embedding.float().mean(dim=1)])  # over all classes
    named = Renamed(named.tensors | {"mapping.w_avg": w_avg}, named.unexpected)
    return fit_generator("r3gan", r3gan_names.generator_settings(config), named, part)


def _discriminator(module: Record) -> Weights:
    state = _tensors(module)
    config = _config(state, first=0)
    embedding = state.get("Model.EmbeddingLayer.weight")
    resolution = 2 << len(config["WidthPerStage"])
    config |= {"c_dim": 0 if embedding is None else embedding.shape[1], "img_resolution": resolution}
    settings = r3gan_names.discriminator_settings(config)
    return fit_discriminator("r3gan", settings, r3gan_names.discriminator_names(state, resolution))


def _tensors(module: Record) -> dict[str, Tensor]:
    """By name. Raises Inexpressible for another filter."""
    state = nvidia_modules.tensors(module, _is_module)
    for name, tensor in state.items():
        if name.endswith("Kernel"):
            expected = fir_filter([1, 3, 3, 1])
            if tensor.shape != expected.shape or (tensor.float() - expected).abs().max() > _FILTER_ERROR:
                raise Inexpressible(f"filter {name}", "the published R3GAN resamples bilinearly")
    return state


def _config(state: Mapping[str, Tensor], first: int) -> dict[str, Any]:
    """The constructor's arguments that show in shapes; the file holds none.

    Args:
        first: number of the first residual block among a stage's layers.
    """
    pattern = re.compile(r"Model\.MainLayers\.(\d+)\.Layers\.(\d+)\.LinearLayer([12])\.Layer\.weight")
    shapes = {tuple(map(int, m.groups())): t.shape for name, t in state.items() if (m := pattern.fullmatch(name))}
    stages = range(1 + max(stage for stage, _, _ in shapes))
    outer = [shapes[stage, first, 1] for stage in stages]
    inner = [shapes[stage, first, 2] for stage in stages]
    config: dict[str, Any] = {
        "WidthPerStage": [shape[1] for shape in outer],
        "BlocksPerStage": [sum(key[0] == stage and key[2] == 1 for key in shapes) for stage in stages],
        "CardinalityPerStage": [shape[0] // shape[1] for shape in inner],
        "ExpansionFactor": outer[0][0] // outer[0][1],
        "KernelSize": inner[0][2],
    }
    if (embedding := state.get("Model.EmbeddingLayer.weight")) is not None:
        config["ConditionEmbeddingDimension"] = embedding.shape[0]
    return config
