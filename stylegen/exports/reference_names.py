"""Our names and settings -> the published code's: the reverse of the tables in checkpoints/importers.

Parameters keep their values. FIR filters, which our snapshots do not hold, are added, so that `load_state_dict` is
strict.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylegen.checkpoints.importers.foreign_model import Inexpressible, rename
from stylegen.layers.resample import fir_filter
from stylegen.networks import StyleGenerator
from stylegen.networks.r3gan import Synthesis as R3GANSynthesis
from stylegen.networks.stylegan3 import Synthesis as StyleGAN3Synthesis

_SEPARABLE_TAPS = 8  # from this length on, NVIDIA's code stores a filter as one row
_ROUNDING = 1e-12  # of sums of taps in float64, relative
_DEFAULT_TAPS = (1, 3, 3, 1)  # of its layers that do not resample, whatever the setting


@dataclass(frozen=True)
class Reference:
    """A network of published code.

    Attributes:
        program: the code, and the call that constructs the network.
        arguments: keyword arguments of this call.
        tensors: its state dict.
    """

    program: str
    arguments: dict[str, Any]
    tensors: dict[str, Tensor]


def nvidia_stylegan2(generator: StyleGenerator) -> Reference:
    """StyleGAN2 as `training.networks.Generator` of stylegan2-ada-pytorch."""
    s = generator.settings
    synthesis = {key: s[key] for key in ("channel_base", "channel_max", "architecture", "use_noise", "activation")}
    arguments = {
        "z_dim": s["z_dim"],
        "c_dim": s["num_classes"],
        "w_dim": s["w_dim"],
        "img_resolution": s["resolution"],
        "img_channels": s["channels"],
        "mapping_kwargs": {"num_layers": s["mapping_layers"], "lr_multiplier": s["mapping_lr_multiplier"]}
        | ({} if s["activation"] == "lrelu" else {"activation": s["activation"]}),
        "synthesis_kwargs": synthesis
        | {"conv_clamp": s["conv_clamp"], "resample_filter": list(s["resample_taps"]), "num_fp16_res": 0},
    }
    filters = {
        name.replace("kernel", "resample_filter"): _filter(_DEFAULT_TAPS if ".conv1." in name else s["resample_taps"])
        for name, _ in generator.named_buffers()
        if name.endswith(".kernel")
    }
    rows = [
        (r"mapping\.layers\.(\d+)\.(.+)", r"mapping.fc\1.\2"),
        (r"mapping\.(embed\..+|w_avg)", r"mapping.\1"),
        (r"synthesis\.blocks\.(\d+)\.to_rgb\.(.+)", r"synthesis.b\1.torgb.\2"),
        (r"synthesis\.blocks\.(\d+)\.(.+)", r"synthesis.b\1.\2"),
    ]
    return Reference("stylegan2-ada-pytorch", arguments, _named(generator.state_dict() | filters, rows))


def nvidia_stylegan3(generator: StyleGenerator) -> Reference:
    """StyleGAN3 as `training.networks_stylegan3.Generator` of stylegan3."""
    s, synthesis = generator.settings, generator.synthesis
    assert isinstance(synthesis, StyleGAN3Synthesis)
    ours = {"resolution": "img_resolution", "channels": "img_channels", "num_classes": "c_dim"}
    arguments = {ours.get(key, key): value for key, value in s.items() if not key.startswith("mapping_")}
    if s["magnitude_ema_beta"] is None:  # for training only
        del arguments["magnitude_ema_beta"]
    arguments |= {
        "mapping_kwargs": {"num_layers": s["mapping_layers"], "lr_multiplier": s["mapping_lr_multiplier"]},
        "num_fp16_res": 0,
    }
    layers = [f"L{i}_{signal.size}_{signal.channels}" for i, signal in enumerate(synthesis.signals)]
    filters = {name: taps for name, taps in generator.named_buffers() if name.endswith("_filter")}
    rows: list[tuple[Any, ...]] = [
        (r"mapping\.layers\.(\d+)\.(.+)", r"mapping.fc\1.\2"),
        (r"mapping\.(embed\..+|w_avg)", r"mapping.\1"),
        (r"synthesis\.input\.mixing", "synthesis.input.weight"),
        (r"synthesis\.input\.(.+)", r"synthesis.input.\1"),
        (r"synthesis\.layers\.(\d+)\.(.+)", lambda match: f"synthesis.{layers[int(match[1])]}.{match[2]}"),
    ]
    return Reference("stylegan3", arguments, _named(generator.state_dict() | filters, rows))


def genforce_stylegan1(generator: StyleGenerator) -> Reference:
    """StyleGAN as `build_model(gan_type="stylegan", module="generator")` of GenForce.

    It is the PyTorch layout of the published TensorFlow networks.

    Raises:
        Inexpressible: a conditioning, filter or input other than the published ones.
    """
    s, state = generator.settings, generator.state_dict()
    given = {"conditioning": s["conditioning"], "use_noise": s["use_noise"], "blur_taps": [*map(float, s["blur_taps"])]}
    given["const_input"] = "synthesis.input.const" in state
    published = {"conditioning": "adain", "use_noise": True, "blur_taps": [1.0, 2.0, 1.0], "const_input": True}
    for name, value in given.items():
        if value != published[name]:
            raise Inexpressible(f"generator.{name}={value}", f"the published StyleGAN has {published[name]}")
    arguments = {
        "resolution": s["resolution"],
        "image_channels": s["channels"],
        "label_size": s["num_classes"],
        "z_space_dim": s["z_dim"],
        "w_space_dim": s["w_dim"],
        "mapping_layers": s["mapping_layers"],
        "mapping_fmaps": s["mapping_dim"] or s["w_dim"],
        "mapping_lr_mul": s["mapping_lr_multiplier"],
        "fused_scale": _fused_scale(s["fused_from"], s["resolution"]),
        "fmaps_base": s["channel_base"],
        "fmaps_max": s["channel_max"],
    }
    tensors = _named(state, _GENFORCE_ROWS)
    kernel = fir_filter(s["blur_taps"])
    for k in range(2, 2 * len(generator.resolutions), 2):
        width = len(tensors[f"synthesis.layer{k}.bias"])
        tensors[f"synthesis.layer{k}.blur.kernel"] = kernel.repeat(width, 1, 1, 1)
    level = generator.level
    lod = math.log2(s["resolution"] // level.resolution) + 1 - level.alpha
    return Reference("GenForce", arguments, tensors | {"synthesis.lod": torch.tensor(float(lod))})


def published_r3gan(generator: StyleGenerator) -> Reference:
    """R3GAN as `training.networks.Generator` of its authors' code."""
    s, synthesis = generator.settings, generator.synthesis
    assert isinstance(synthesis, R3GANSynthesis)
    if s["channels"] != 3:
        raise Inexpressible(f"generator.channels={s['channels']}", "the published R3GAN has 3")
    stages = list(synthesis.stages.values())
    arguments = {
        "NoiseDimension": s["z_dim"],
        "WidthPerStage": [stage.width for stage in stages],
        "CardinalityPerStage": [stage.groups for stage in stages],
        "BlocksPerStage": [stage.blocks for stage in stages],
        "ExpansionFactor": s["expansion"],
        "KernelSize": s["kernel_size"],
        "ResamplingFilter": _before_repetition(s["resample_taps"]),
        "FP16Stages": [],
        "c_dim": s["num_classes"],
        "img_resolution": s["resolution"],
    }
    if s["num_classes"]:
        arguments["ConditionEmbeddingDimension"] = s["embedding_dim"] or s["z_dim"]
    kernel = fir_filter(s["resample_taps"])
    filters = {f"Model.MainLayers.{k}.Layers.0.Resampler.Kernel": kernel for k in range(1, len(stages))}
    own = {name: tensor for name, tensor in generator.state_dict().items() if name != "mapping.w_avg"}
    return Reference("R3GAN", arguments, _named(own, _R3GAN_ROWS) | filters)


def _before_repetition(taps: Sequence[float]) -> list[float]:
    """The filter f with f * [1, 1] = `taps`: R3GAN repeats pixels first. Raises Inexpressible if there is none."""
    found = list(itertools.accumulate(taps, lambda last, tap: tap - last))
    if abs(found.pop()) > _ROUNDING * sum(map(abs, taps)):
        raise Inexpressible(
            f"generator.resample_taps={list(taps)}", "the published R3GAN repeats pixels, then filters: [1, 3, 3, 1]"
        )
    return found


REFERENCES = {
    "stylegan1": genforce_stylegan1,
    "stylegan2": nvidia_stylegan2,
    "stylegan3": nvidia_stylegan3,
    "r3gan": published_r3gan,
}


def _layer(end: str) -> Any:
    """Our block and layer -> the reference's layer number, and the end of its name."""

    def name(match: re.Match[str]) -> str:
        number = 2 * (int(match[1]).bit_length() - 3) + int(match[2])
        return f"synthesis.layer{number}.{match.expand(end)}"

    return name


def _r3gan(end: str) -> Any:
    """Our resolution -> the reference's stage."""
    return lambda match: f"Model.MainLayers.{int(match[1]).bit_length() - 3}.Layers.{match.expand(end)}"


def _r3gan_block(end: str) -> Any:
    """Our residual block -> the reference's, whose first layer is the resampling."""
    name = _r3gan("")
    return lambda match: f"{name(match)}{int(match[2]) + 1}.{end}"


_R3GAN_BLOCK = r"synthesis\.blocks\.(\d+)\.layers\.(\d+)\."
_R3GAN_ROWS: list[tuple[Any, ...]] = [
    (r"mapping\.embedding\.weight", "Model.EmbeddingLayer.weight"),
    (r"synthesis\.input\.basis", "Model.MainLayers.0.Layers.0.Basis"),
    (r"synthesis\.input\.affine\.weight", "Model.MainLayers.0.Layers.0.LinearLayer.weight"),
    (r"synthesis\.blocks\.(\d+)\.resize\.weight", _r3gan("0.LinearLayer.Layer.weight")),
    *(
        (_R3GAN_BLOCK + rf"{ours}\.weight", _r3gan_block(f"LinearLayer{k}.Layer.weight"))
        for k, ours in enumerate(("expand", "grouped", "project"), start=1)
    ),
    *(
        (_R3GAN_BLOCK + rf"{ours}\.bias", _r3gan_block(f"NonLinearity{k}.Bias"))
        for k, ours in enumerate(("expand", "grouped"), start=1)
    ),
    (r"synthesis\.to_rgb\.weight", "Model.AggregationLayer.Layer.weight"),
]
_BLOCK = r"synthesis\.blocks\.(\d+)\.layer([01])\."
_GENFORCE_ROWS: list[tuple[Any, ...]] = [
    (r"mapping\.layers\.(\d+)\.(weight|bias)", r"mapping.dense\1.\2"),
    (r"mapping\.embedding", "mapping.label_weight"),
    (r"mapping\.w_avg", "truncation.w_avg"),
    (r"synthesis\.input\.const", "synthesis.layer0.const", lambda tensor: tensor[None]),
    (_BLOCK + r"conv\.weight", _layer("weight")),
    (_BLOCK + r"bias", _layer("bias")),
    (_BLOCK + r"noise\.strength", _layer("apply_noise.weight")),
    (_BLOCK + r"noise\.const", _layer("apply_noise.noise"), lambda tensor: tensor[None, None]),
    (_BLOCK + r"conditioning\.affine\.(weight|bias)", _layer(r"style.\3")),
    (
        r"synthesis\.blocks\.(\d+)\.to_rgb\.(weight|bias)",
        lambda match: f"synthesis.output{int(match[1]).bit_length() - 3}.{match[2]}",
    ),
]


def _filter(taps: Sequence[float]) -> Tensor:
    """`resample_filter` of these taps."""
    row = torch.tensor(taps, dtype=torch.float32)
    return row / row.sum() if len(row) >= _SEPARABLE_TAPS else fir_filter(taps)


def _fused_scale(fused_from: int | None, resolution: int) -> bool | str:
    """`fused_scale` with the same layers fused."""

    def layers(start: int | None) -> list[int]:
        sides = [2**k for k in range(3, resolution.bit_length())]
        return [r for r in sides if start is not None and r >= start]

    for value, start in ((False, None), ("auto", 128), (True, 4)):
        if layers(fused_from) == layers(start):
            return value
    raise Inexpressible(
        f"generator.fused_from={fused_from}", "the published StyleGAN fuses all layers, none, or those from 128 px"
    )


def _named(state: Mapping[str, Tensor], rows: list[tuple[Any, ...]]) -> dict[str, Tensor]:
    named = rename(state, rows)
    if named.unexpected:
        raise Inexpressible(f"tensor {named.unexpected[0]}", "the published network has no such tensor")
    return {name: tensor.detach().contiguous().clone() for name, tensor in named.tensors.items()}
