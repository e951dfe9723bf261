"""Names and settings of StyleGAN2-ADA's and StyleGAN3's PyTorch networks -> ours.

Parameters keep their values; nothing is transposed or scaled. FIR filters (`resample_filter`) are dropped, because they
follow from the settings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from stylegen.checkpoints.importers.foreign_model import Inexpressible, Row, rename, translate
from stylegen.errors import UserError

# Reference name -> our name, by the first pattern that matches the whole name. None drops the tensor.
GENERATOR_NAMES: list[Row] = [
    (r"mapping\.fc(\d+)\.(.+)", r"mapping.layers.\1.\2"),
    (r"mapping\.(embed\..+|w_avg)", r"mapping.\1"),
    (r"synthesis\.b(\d+)\.torgb\.(.+)", r"synthesis.blocks.\1.to_rgb.\2"),
    (r".*resample_filter", None),
    (r"synthesis\.b(\d+)\.(.+)", r"synthesis.blocks.\1.\2"),
]
DISCRIMINATOR_NAMES: list[Row] = [
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
_WITHOUT_EFFECT = {"num_fp16_res", "fp16_channels_last", "use_fp16", "fused_modconv_default", "w_avg_beta"} | {
    *("freeze_layers", "embed_features", "layer_features", "cmap_dim"),  # the last three show in shapes
}
_NESTED = {"mapping_kwargs", "synthesis_kwargs", "epilogue_kwargs", "block_kwargs"}
_WHOLE_BATCH = 65536  # `mbstd_group_size: None`; a group is at most the batch


def rename_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a generator -> ours. Raises UserError for an unknown name."""
    return _strict(state, GENERATOR_NAMES, "generator")


def rename_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a discriminator -> ours. Raises UserError for an unknown name."""
    return _strict(state, DISCRIMINATOR_NAMES, "discriminator")


def generator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference generator's constructor arguments -> ours. Raises UserError for one without a counterpart."""
    flat = {k: v for k, v in config.items() if k not in _NESTED} | dict(config.get("synthesis_kwargs") or {})
    mapping = dict(config.get("mapping_kwargs") or {})
    _check_equal(mapping, "activation", flat.get("activation", "lrelu"))
    return translate(flat, _GENERATOR, _WITHOUT_EFFECT) | translate(mapping, _GENERATOR_MAPPING, _WITHOUT_EFFECT)


def discriminator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference discriminator's constructor arguments -> ours. Raises UserError as above."""
    flat = {k: v for k, v in config.items() if k not in _NESTED} | dict(config.get("block_kwargs") or {})
    epilogue = dict(config.get("epilogue_kwargs") or {})
    _check_equal(epilogue, "activation", flat.get("activation", "lrelu"))
    if epilogue.get("mbstd_group_size", 4) is None:
        epilogue["mbstd_group_size"] = _WHOLE_BATCH
    mapping = dict(config.get("mapping_kwargs") or {}) if flat.get("c_dim") else {}  # unused without labels
    rate = mapping.pop("lr_multiplier", 0.01)
    if mapping.get("num_layers", 8) and rate != 0.01:
        raise Inexpressible(f"lr_multiplier={rate}", "the mapping network of labels in D has 0.01 here")
    _check_equal(mapping, "activation", "lrelu")
    return (
        translate(flat, _DISCRIMINATOR, _WITHOUT_EFFECT)
        | translate(mapping, _DISCRIMINATOR_MAPPING, _WITHOUT_EFFECT)
        | translate(epilogue, _EPILOGUE, _WITHOUT_EFFECT)
    )


def _check_equal(config: dict[str, Any], name: str, value: Any) -> None:
    """Remove a setting that is not separate in our network."""
    if config.pop(name, value) != value:
        raise Inexpressible(f"{name} of a part of the network", f"it differs from the rest of it, which has {value}")


def _strict(state: Mapping[str, Tensor], table: Sequence[Row], kind: str) -> dict[str, Tensor]:
    named = rename(state, table)
    for name in named.unexpected:
        raise UserError(
            f"tensor {name}",
            rule=f"no StyleGAN2 {kind} has a tensor of this name",
            fix="Check that the file holds a StyleGAN2-ADA or StyleGAN3 network of config stylegan2",
        )
    return named.tensors
