"""Names and settings of StyleGAN's PyTorch networks (GenForce's layout of the published ones) -> ours.

Parameters keep their values. The reference numbers layers and RGB layers, in the generator from 4 px upwards, in the
discriminator from the full resolution downwards; we key them by resolution.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stylegen.errors import UserError

# Reference argument -> our argument.
_SHARED = {
    "resolution": "resolution",
    "image_channels": "channels",
    "label_size": "num_classes",
    "fmaps_base": "channel_base",
    "fmaps_max": "channel_max",
}
_GENERATOR = _SHARED | {
    "z_space_dim": "z_dim",
    "w_space_dim": "w_dim",
    "mapping_layers": "mapping_layers",
    "mapping_fmaps": "mapping_dim",
    "mapping_lr_mul": "mapping_lr_multiplier",
    "const_input": "const_input",
}
_DISCRIMINATOR = _SHARED | {
    "minibatch_std_group_size": "mbstd_group_size",
    "minibatch_std_channels": "mbstd_num_channels",
}
FUSED_FROM = {"auto": 128, True: 4, False: None}  # `fused_scale`; 4 px is every layer that changes the resolution


def generator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference generator's constructor arguments -> ours. Raises UserError for one without a counterpart."""
    return _translate(config, _GENERATOR)


def discriminator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference discriminator's constructor arguments -> ours. Raises UserError as above."""
    return _translate(config, _DISCRIMINATOR)


def rename_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a generator -> ours. Raises UserError for an unknown name."""
    parts = {"weight": "conv.weight", "apply_noise.weight": "noise.strength", "apply_noise.noise": "noise.const"}
    renamed = {}
    for name, tensor in state.items():
        if name.endswith("synthesis.lod"):
            continue
        if match := re.fullmatch(r"mapping\.dense(\d{1,2})\.(weight|bias)", name):
            renamed[f"mapping.layers.{match[1]}.{match[2]}"] = tensor
        elif name == "mapping.label_weight":
            renamed["mapping.embedding"] = tensor
        elif name == "truncation.w_avg":
            renamed["mapping.w_avg"] = tensor
        elif name == "synthesis.layer0.const":
            renamed["synthesis.input.const"] = tensor[0]
        elif match := re.fullmatch(r"synthesis\.layer(\d{1,2})\.(weight|bias|apply_noise\.\w+|style\.\w+)", name):
            layer, part = int(match[1]), match[2].replace("style.", "conditioning.affine.")
            prefix = f"synthesis.blocks.{4 << layer // 2}.layer{layer % 2}"
            renamed[f"{prefix}.{parts.get(part, part)}"] = tensor[0, 0] if part == "apply_noise.noise" else tensor
        elif match := re.fullmatch(r"synthesis\.output(\d{1,2})\.(weight|bias)", name):
            renamed[f"synthesis.blocks.{4 << int(match[1])}.to_rgb.{match[2]}"] = tensor
        else:
            raise _unknown(name, "generator")
    return renamed


def rename_discriminator(state: Mapping[str, Tensor], resolution: int) -> dict[str, Tensor]:
    """Reference state dict of a discriminator of this resolution -> ours. Raises UserError as above."""
    num_blocks = resolution.bit_length() - 3  # above 4 px
    in_block = [{"weight": "conv0.weight", "bias": "conv0.bias"}, {"weight": "conv1.weight", "bias": "bias1"}]
    last = ("conv", "fc", "out")
    renamed = {}
    for name, tensor in state.items():
        if name == "lod":
            continue
        match = re.fullmatch(r"(input|layer)(\d{1,2})\.(weight|bias)", name)
        if match is None:
            raise _unknown(name, "discriminator")
        kind, number, part = match[1], int(match[2]), match[3]
        block = number if kind == "input" else min(number // 2, num_blocks)
        if number > (num_blocks if kind == "input" else 2 * num_blocks + len(last) - 1):
            raise _unknown(name, "discriminator")
        prefix = f"blocks.{resolution >> block}" if block < num_blocks else "epilogue"
        if kind == "input":
            renamed[f"{prefix}.from_rgb.{part}"] = tensor
        elif block < num_blocks:
            renamed[f"{prefix}.{in_block[number % 2][part]}"] = tensor
        else:
            renamed[f"{prefix}.{last[number - 2 * num_blocks]}.{part}"] = tensor
    return renamed


def _translate(config: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in config.items():
        if name == "fused_scale" and value in FUSED_FROM:
            settings["fused_from"] = FUSED_FROM[value]
        elif name in table:
            settings[table[name]] = value
        else:
            raise UserError(
                f"{name}={value}",
                rule="this setting of the foreign network has no counterpart here",
                fix="Convert a network trained with the published StyleGAN settings",
            )
    return settings


def _unknown(name: str, kind: str) -> UserError:
    return UserError(
        f"tensor {name}",
        rule=f"no StyleGAN {kind} has a tensor of this name",
        fix="Check that the file holds a StyleGAN1 network in GenForce's layout",
    )
