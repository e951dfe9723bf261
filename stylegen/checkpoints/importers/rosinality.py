"""StyleGAN2 in rosinality's stylegan2-pytorch: `.pt` files with state dicts `g_ema`, `g`, `d`, and `latent_avg`.

The file names no settings; they follow from shapes. Its network has the FIR filter [1, 3, 3, 1], leaky ReLU and a
mapping learning rate of 0.01, which shapes do not show: a file trained with other ones would import with wrong images,
so filters are compared.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Inexpressible,
    Weights,
    channel_settings,
    fit_discriminator,
    fit_generator,
    rename,
)
from stylegen.networks import build_generator

KIND = "rosinality StyleGAN2"
_FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0])
_LATENTS = 4096  # for the mean of w, as that code samples it


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    return isinstance(content, dict) and "conv1.conv.modulation.weight" in _average(content)


def convert(content: dict[str, Any]) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    state, mean = _average(content), content.get("latent_avg")
    for name in state:
        if not isinstance(state[name], Tensor):
            raise Inexpressible(f"{name!s:.80} of the file", f"must be a tensor, not {type(state[name]).__name__}")
    if any("iwt" in name or ".dwt" in name for name in state):
        raise Inexpressible("SWAGAN", "its generator predicts wavelets, which no network here does")
    extra = sorted(map(str, content.keys() - {"g_ema", "g", "d", "latent_avg"})) if "g_ema" in content else []
    notes = [f"{', '.join(extra)[:200]} left out: not needed to sample or to start a training"] if extra else []
    if not isinstance(mean, Tensor):
        mean = None
        notes.append(f"the mean of w is not in the file and was computed from {_LATENTS:,} latents")
    generators = {
        part: _generator(content.get(key, state), mean, part)
        for key, part in (("g_ema", "G_ema"), ("g", "G"))
        if key in content or part == "G_ema"
    }
    discriminator = _discriminator(content["d"]) if isinstance(content.get("d"), dict) else None
    return ForeignModel(KIND, generators["G_ema"], discriminator, generators.get("G"), notes)


def _average(content: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict of the averaged generator, {} without one; a file may also be such a state dict itself."""
    state = content.get("g_ema", content)
    return state if isinstance(state, dict) else {}


def _first(tensor: Tensor) -> Tensor:
    if tensor.shape[0] != 1:
        raise ValueError("more than one")
    return tensor[0]


def _layer(match: re.Match[str]) -> str:
    parts = {"conv.weight": "weight", "noise.weight": "noise_strength", "activate.bias": "bias"}
    part = parts.get(match["part"], match["part"].replace("conv.modulation", "affine"))
    layer = int(match["layer"]) + 1 if match["layer"] else 0
    return f"synthesis.blocks.{4 << (layer + 1) // 2}.conv{(layer + 1) % 2}.{part}"


def _to_rgb(match: re.Match[str]) -> str:
    part = match["part"].replace("conv.modulation", "affine").replace("conv.", "")
    return f"synthesis.blocks.{8 << int(match['layer']) if match['layer'] else 4}.to_rgb.{part}"


def _noise(match: re.Match[str]) -> str:
    layer = int(match[1]) + 1
    return f"synthesis.blocks.{4 << layer // 2}.conv{layer % 2}.noise_const"


_CONVS = r"(?:conv1|convs\.(?P<layer>\d{1,2}))\."
_RGBS = r"(?:to_rgb1|to_rgbs\.(?P<layer>\d))\."
_GENERATOR = [
    (r"style\.(\d+)\.(weight|bias)", lambda match: f"mapping.layers.{int(match[1]) - 1}.{match[2]}"),
    (r"input\.input", "synthesis.blocks.4.const", _first),
    (_CONVS + r"(?P<part>conv\.weight)", _layer, _first),
    (_CONVS + r"(?P<part>conv\.modulation\.(weight|bias))", _layer),
    (_CONVS + r"(?P<part>noise\.weight)", _layer, lambda tensor: tensor.reshape(())),
    (_CONVS + r"(?P<part>activate\.bias)", _layer, lambda tensor: tensor.reshape(-1)),
    (_RGBS + r"(?P<part>conv\.weight)", _to_rgb, _first),
    (_RGBS + r"(?P<part>conv\.modulation\.(weight|bias))", _to_rgb),
    (_RGBS + r"(?P<part>bias)", _to_rgb, lambda tensor: tensor.reshape(-1)),
    (r"noises\.noise_(\d{1,2})", _noise, lambda tensor: _first(_first(tensor))),
    (r".+\.kernel", None),
]


def _generator(state: dict[str, Tensor], mean: Tensor | None, part: str) -> Weights:
    _check_filters(state)
    named = rename(state, _GENERATOR)
    sides = [int(match[1]) for name in named.tensors if (match := re.match(r"synthesis\.blocks\.(\d+)\.", name))]
    if not sides or "mapping.layers.0.weight" not in named.tensors:
        raise Inexpressible(f"{part} of the file", "it lacks the mapping network or synthesis layers")
    weights = {r: named.tensors.get(f"synthesis.blocks.{r}.conv1.weight") for r in sorted(set(sides))}
    first = named.tensors["mapping.layers.0.weight"]
    settings = {
        "resolution": max(sides),
        "channels": len(named.tensors.get("synthesis.blocks.4.to_rgb.bias", torch.empty(3))),
        "z_dim": first.shape[-1],
        "w_dim": first.shape[0],
        "mapping_layers": sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.bias", name)) for name in named.tensors),
        **channel_settings({r: weight.shape[0] for r, weight in weights.items() if weight is not None}),
    }
    named.tensors["mapping.w_avg"] = torch.zeros(first.shape[0]) if mean is None else mean.reshape(-1)
    found = fit_generator("stylegan2", settings, named, part)
    return found if mean is not None else _with_mean(found)


@torch.no_grad()
def _with_mean(weights: Weights) -> Weights:
    generator = build_generator(weights.network, **weights.settings)
    generator.load_state_dict(weights.tensors)
    request = {"import/w_avg": randomness.Request("normal", (generator.z_dim,))}
    z = randomness.generate(0, torch.arange(_LATENTS), request)["import/w_avg"]
    weights.tensors["mapping.w_avg"].copy_(generator.mapping(z.float()).mean(dim=0))
    return weights


_BLOCK_LAYERS = {"conv1": "conv0", "conv2": "conv1", "skip": "skip"}


def _discriminator(state: dict[str, Tensor]) -> Weights:
    _check_filters(state)
    blocks = {int(match[1]) for name in state if (match := re.match(r"convs\.(\d{1,2})\.conv1", name))}
    resolution = 4 << len(blocks)

    def block(match: re.Match[str]) -> str:
        side = resolution >> int(match["block"]) - 1
        return f"blocks.{side}.{_BLOCK_LAYERS[match['layer']]}.{match['part']}"

    rows = [
        (r"convs\.0\.\d\.(weight|bias)", rf"blocks.{resolution}.from_rgb.\1"),
        (r"convs\.(?P<block>\d{1,2})\.(?P<layer>conv1|conv2)\.\d\.(?P<part>weight|bias)", block),
        (r"convs\.(?P<block>\d{1,2})\.(?P<layer>skip)\.\d\.(?P<part>weight)", block),
        (r"final_conv\.\d\.(weight|bias)", r"epilogue.conv.\1"),
        (r"final_linear\.0\.(weight|bias)", r"epilogue.fc.\1"),
        (r"final_linear\.1\.(weight|bias)", r"epilogue.out.\1"),
        (r".+\.kernel", None),
    ]
    named = rename(state, rows)
    widths = {
        resolution >> k: named.tensors[f"blocks.{resolution >> k}.conv0.weight"].shape[0]
        for k in range(len(blocks))
        if f"blocks.{resolution >> k}.conv0.weight" in named.tensors
    }
    if "epilogue.conv.weight" in named.tensors:
        widths[4] = named.tensors["epilogue.conv.weight"].shape[0]
    from_rgb = named.tensors.get(f"blocks.{resolution}.from_rgb.weight")
    channels = 3 if from_rgb is None else from_rgb.shape[1]
    settings = {"resolution": resolution, "channels": channels, **channel_settings(widths)}
    named.tensors.update({n: t.reshape(-1) for n, t in named.tensors.items() if n.endswith(".bias")})
    return fit_discriminator("stylegan2", settings, named)


def _check_filters(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if name.endswith(".kernel"):
            kernel = torch.outer(_FILTER, _FILTER)
            theirs = tensor.float()
            if theirs.shape != kernel.shape or not torch.allclose(
                theirs / theirs.sum(), kernel / kernel.sum(), atol=1e-4
            ):
                raise Inexpressible(f"filter {name[:80]}", "it is not [1, 3, 3, 1], the filter of the published code")
