"""StyleGAN and StyleGAN2 in GenForce's PyTorch layout: `.pth` files with `generator`, `discriminator`,
`generator_smooth`, or a checkpoint with these under `models`. Settings follow from shapes.

Its StyleGAN2 stores up-sampling convolutions mirrored and the bias of the styles without its initial one, as
TensorFlow does.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from stylegen.checkpoints.importers import stylegan1_names
from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Inexpressible,
    Renamed,
    Weights,
    channel_settings,
    fit_discriminator,
    fit_generator,
    rename,
)
from stylegen.errors import UserError
from stylegen.networks import Level

KIND = "GenForce StyleGAN"
_PARTS = {"generator_smooth": "G_ema", "generator": "G", "discriminator": "D"}
_PREFIX = "module."  # of a network that was trained on several devices


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    state = _networks(content).get("G")
    return state is not None and ("synthesis.layer0.weight" in state or "synthesis.layer0.const" in state)


def convert(content: dict[str, Any]) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    states, notes = _networks(content), []
    generator, discriminator = _stylegan1_generator, _stylegan1_discriminator
    if "synthesis.early_layer.const" in states["G"]:
        generator, discriminator = _stylegan2_generator, _stylegan2_discriminator
    averaged = generator(states.get("G_ema", states["G"]), "generator_smooth")
    if "G_ema" not in states:
        notes.append("the file has no average of the generator; its generator takes the place")
    D = None
    if "D" in states:
        try:
            D = discriminator(states["D"])
        except Inexpressible as error:
            notes.append(f"D left out: {error.problem}: {error.rule}")
    others = sorted(str(key) for key in content.keys() - {*_PARTS, "models"})
    if others:
        notes.append(f"{', '.join(others)[:200]} left out: not needed to sample or to start a training")
    return ForeignModel(KIND, averaged, D, generator(states["G"], "generator"), notes)


def _networks(content: Any) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    models = content.get("models", content) if isinstance(content, dict) else {}
    for key, part in _PARTS.items():
        state = models.get(key) if isinstance(models, dict) else None
        if isinstance(state, dict) and state and all(isinstance(value, Tensor) for value in state.values()):
            found[part] = {str(name).removeprefix(_PREFIX): value for name, value in state.items()}
    if "G" not in found and "G_ema" in found:
        found["G"] = found["G_ema"]
    return found


def _width(state: Mapping[str, Tensor], name: str, axis: int = 0) -> int:
    if name not in state or state[name].ndim <= axis:
        rule = "the network lacks it, or it has too few dimensions"
        raise UserError(f"tensor {name}", rule=rule, fix="Use an unmodified file")
    return state[name].shape[axis]


def _last(state: Mapping[str, Tensor], pattern: str) -> int:
    """The largest number in names that match."""
    return max((int(match[1]) for name in state if (match := re.fullmatch(pattern, name))), default=0)


def _mapping(state: Mapping[str, Tensor]) -> dict[str, Any]:
    layers = _last(state, r"mapping\.dense(\d{1,2})\.weight") + 1
    classes = _width(state, "mapping.label_weight") if "mapping.label_weight" in state else 0
    return {
        "num_classes": classes,
        "z_dim": _width(state, "mapping.dense0.weight", 1) // (2 if classes else 1),
        "w_dim": _width(state, f"mapping.dense{layers - 1}.weight"),
        "mapping_layers": layers,
    }


def _stylegan1_generator(state: dict[str, Tensor], part: str) -> Weights:
    blocks = _last(state, r"synthesis\.output(\d)\.weight")
    widths = {4 << k: _width(state, f"synthesis.layer{2 * k + 1}.weight") for k in range(blocks + 1)}
    settings = _mapping(state) | {
        "resolution": 4 << blocks,
        "channels": _width(state, "synthesis.output0.weight"),
        "mapping_dim": _width(state, "mapping.dense0.weight"),
        **channel_settings(widths),
    }
    lod = float(state["synthesis.lod"]) if "synthesis.lod" in state and state["synthesis.lod"].numel() == 1 else 0.0
    if not 0 <= lod <= blocks:
        raise Inexpressible(f"lod={lod}", f"must be a level of detail from 0 to {blocks}")
    level = Level((4 << blocks) >> int(lod), 1 - (lod - int(lod))) if lod else None
    state = {name: tensor for name, tensor in state.items() if not name.endswith("blur.kernel")}
    return fit_generator("stylegan1", settings, Renamed(stylegan1_names.rename_generator(state), []), part, level)


def _stylegan1_discriminator(state: dict[str, Tensor]) -> Weights:
    blocks = _last(state, r"input(\d)\.weight")
    logits = _width(state, f"layer{2 * blocks + 2}.weight")
    state = {name: tensor for name, tensor in state.items() if not name.endswith("blur.kernel")}
    settings = {
        **_discriminator_settings(state, blocks),
        "num_classes": logits if logits > 1 else 0,
    }
    named = stylegan1_names.rename_discriminator(state, 4 << blocks)
    return fit_discriminator("stylegan1", settings, Renamed(named, []))


def _discriminator_settings(state: Mapping[str, Tensor], blocks: int) -> dict[str, Any]:
    widths = {(4 << blocks) >> k: _width(state, f"layer{2 * k}.weight") for k in range(blocks + 1)}
    return {
        "resolution": 4 << blocks,
        "channels": _width(state, "input0.weight", 1),
        "mbstd_num_channels": _width(state, f"layer{2 * blocks}.weight", 1) - widths[4],
        **channel_settings(widths),
    }


def _flip_up(match: re.Match[str]) -> str:
    layer = int(match[1]) + 1
    return f"synthesis.blocks.{4 << layer // 2}.conv{layer % 2}"


def _named(start: Callable[[re.Match[str]], str], end: str) -> Callable[[re.Match[str]], str]:
    return lambda match: start(match) + end


def _rgb(match: re.Match[str]) -> str:
    return f"synthesis.blocks.{4 << int(match[1])}.to_rgb"


_ODD, _EVEN = r"synthesis\.layer(\d?[13579])\.", r"synthesis\.layer(\d?[02468])\."  # up-sampling layers are odd
_ANY, _OUTPUT = r"synthesis\.layer(\d{1,2})\.", r"synthesis\.output(\d)\."
_STYLEGAN2_NAMES: list[tuple[Any, ...]] = [
    (r"mapping\.dense(\d+)\.(weight|bias)", r"mapping.layers.\1.\2"),
    (r"truncation\.w_avg", "mapping.w_avg"),
    (r"synthesis\.early_layer\.const", "synthesis.blocks.4.const", lambda tensor: tensor[0]),
    (_ODD + "weight", _named(_flip_up, ".weight"), lambda tensor: tensor.flip(2, 3)),
    (_EVEN + "weight", _named(_flip_up, ".weight")),
    (_ANY + "bias", _named(_flip_up, ".bias")),
    (_ANY + "noise_strength", _named(_flip_up, ".noise_strength")),
    (_ANY + "noise", _named(_flip_up, ".noise_const"), lambda tensor: tensor[0, 0]),
    (_ANY + r"style\.weight", _named(_flip_up, ".affine.weight")),
    (_ANY + r"style\.bias", _named(_flip_up, ".affine.bias"), lambda tensor: tensor + 1),
    (_OUTPUT + "weight", _named(_rgb, ".weight")),
    (_OUTPUT + "bias", _named(_rgb, ".bias")),
    (_OUTPUT + r"style\.weight", _named(_rgb, ".affine.weight")),
    (_OUTPUT + r"style\.bias", _named(_rgb, ".affine.bias"), lambda tensor: tensor + 1),
    (r".+\.kernel", None),
]


def _stylegan2_generator(state: dict[str, Tensor], part: str) -> Weights:
    if "mapping.label_weight" in state:
        raise Inexpressible(
            f"{part} of the file", "it concatenates labels before normalizing, as no StyleGAN2 here does"
        )
    blocks = _last(state, r"synthesis\.output(\d)\.weight")
    widths = {4 << k: _width(state, f"synthesis.layer{2 * k}.weight") for k in range(blocks + 1)}
    channels = _width(state, "synthesis.output0.weight") if "synthesis.output0.weight" in state else 3
    settings = _mapping(state) | {"resolution": 4 << blocks, "channels": channels, **channel_settings(widths)}
    return fit_generator("stylegan2", settings, rename(state, _STYLEGAN2_NAMES), part)


def _stylegan2_discriminator(state: dict[str, Tensor]) -> Weights:
    blocks = (_last(state, r"layer(\d{1,2})\.weight") - 2) // 2
    resolution = 4 << blocks
    if _width(state, f"layer{2 * blocks + 2}.weight") > 1:
        raise Inexpressible("D of the file", "it selects the logit of a class, as no StyleGAN2 here does")

    def layer(match: re.Match[str]) -> str:
        number = int(match[1])
        if number < 2 * blocks:
            return f"blocks.{resolution >> number // 2}.conv{number % 2}.{match[2]}"
        return f"epilogue.{('conv', 'fc', 'out', 'unknown')[min(number - 2 * blocks, 3)]}.{match[2]}"

    rows: list[tuple[Any, ...]] = [
        (r"input0\.(weight|bias)", rf"blocks.{resolution}.from_rgb.\1"),
        (r"layer(\d{1,2})\.(weight|bias)", layer),
        (r"skip_layer(\d)\.weight", lambda match: f"blocks.{resolution >> int(match[1])}.skip.weight"),
        (r".+\.kernel", None),
    ]
    return fit_discriminator("stylegan2", _discriminator_settings(state, blocks), rename(state, rows))
