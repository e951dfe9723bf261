"""Names and settings of StyleGAN2-ADA's and StyleGAN3's PyTorch networks -> ours.

Parameters keep their values; nothing is transposed or scaled. FIR filters (`resample_filter`) are dropped, because they
follow from the settings.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stylegen.errors import UserError

# Reference name -> our name, by the first pattern that matches the whole name. None drops the tensor.
_GENERATOR_NAMES: list[tuple[str, str | None]] = [
    (r"mapping\.fc(\d+)\.(.+)", r"mapping.layers.\1.\2"),
    (r"mapping\.(embed\..+|w_avg)", r"mapping.\1"),
    (r"synthesis\.b(\d+)\.torgb\.(.+)", r"synthesis.blocks.\1.to_rgb.\2"),
    (r".*resample_filter", None),
    (r"synthesis\.b(\d+)\.(.+)", r"synthesis.blocks.\1.\2"),
]
_DISCRIMINATOR_NAMES: list[tuple[str, str | None]] = [
    (r".*resample_filter", None),
    (r"mapping\.fc(\d+)\.(.+)", r"mapping.layers.\1.\2"),
    (r"mapping\.(embed\..+)", r"mapping.\1"),
    (r"b4\.fromrgb\.(.+)", r"epilogue.from_rgb.\1"),
    (r"b4\.(conv|fc|out)\.(.+)", r"epilogue.\1.\2"),
    (r"b(\d+)\.fromrgb\.(.+)", r"blocks.\1.from_rgb.\2"),
    (r"b(\d+)\.(conv0|conv1|skip)\.(.+)", r"blocks.\1.\2.\3"),
]
# Reference argument -> our argument.
_SHARED = {"c_dim": "num_classes", "img_resolution": "resolution", "img_channels": "channels"} | {
    k: k for k in ("architecture", "channel_base", "channel_max", "activation", "conv_clamp")
}
_GENERATOR = _SHARED | {
    "z_dim": "z_dim",
    "w_dim": "w_dim",
    "use_noise": "use_noise",
    "resample_filter": "resample_taps",
}
_GENERATOR_MAPPING = {"num_layers": "mapping_layers", "lr_multiplier": "mapping_lr_multiplier"}
_DISCRIMINATOR = _SHARED | {"resample_filter": "resample_taps"}
_DISCRIMINATOR_MAPPING = {"num_layers": "mapping_layers"}
_EPILOGUE = {"mbstd_group_size": "mbstd_group_size", "mbstd_num_channels": "mbstd_num_channels"}
# Precision, memory layout, kernels and the averaging of w: no effect on the function.
_WITHOUT_EFFECT = {"num_fp16_res", "fp16_channels_last", "use_fp16", "fused_modconv_default", "w_avg_beta"}
_NESTED = {"mapping_kwargs", "synthesis_kwargs", "epilogue_kwargs", "block_kwargs"}


def rename_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a generator -> ours. Raises UserError for an unknown name."""
    return _rename(state, _GENERATOR_NAMES, "generator")


def rename_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a discriminator -> ours. Raises UserError for an unknown name."""
    return _rename(state, _DISCRIMINATOR_NAMES, "discriminator")


def generator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference generator's constructor arguments -> ours. Raises UserError for one without a counterpart."""
    flat = {k: v for k, v in config.items() if k not in _NESTED} | dict(config.get("synthesis_kwargs", {}))
    return _translate(flat, _GENERATOR) | _translate(config.get("mapping_kwargs", {}), _GENERATOR_MAPPING)


def discriminator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference discriminator's constructor arguments -> ours. Raises UserError as above."""
    flat = {k: v for k, v in config.items() if k not in _NESTED} | dict(config.get("block_kwargs", {}))
    return (
        _translate(flat, _DISCRIMINATOR)
        | _translate(config.get("mapping_kwargs", {}), _DISCRIMINATOR_MAPPING)
        | _translate(config.get("epilogue_kwargs", {}), _EPILOGUE)
    )


def _translate(config: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    settings = {}
    for name, value in config.items():
        if name in table:
            settings[table[name]] = value
        elif name not in _WITHOUT_EFFECT:
            raise UserError(
                f"{name}={value}",
                rule="this setting of the foreign network has no counterpart here",
                fix="Convert a network trained with the published StyleGAN2-ADA or StyleGAN3 settings",
            )
    return settings


def _rename(state: Mapping[str, Tensor], table: list[tuple[str, str | None]], kind: str) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in table:
            match = re.fullmatch(pattern, name)
            if match:
                if replacement is not None:
                    renamed[match.expand(replacement)] = tensor
                break
        else:
            raise UserError(
                f"tensor {name}",
                rule=f"no StyleGAN2 {kind} has a tensor of this name",
                fix="Check that the file holds a StyleGAN2-ADA or StyleGAN3 network of config stylegan2",
            )
    return renamed
