"""Names and settings of StyleGAN3's PyTorch generator -> ours.

Parameters keep their values. Filters (`up_filter`, `down_filter`) follow from the settings; `check_filters` compares
them.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stylegen.checkpoints.importers.foreign_model import Inexpressible, Row, rename, translate
from stylegen.checkpoints.snapshot import ShapesOnly
from stylegen.networks import build_generator

# Reference name -> our name, by the first pattern that matches the whole name. None drops the tensor.
GENERATOR_NAMES: list[Row] = [
    (r"mapping\.fc(\d+)\.(.+)", r"mapping.layers.\1.\2"),
    (r"mapping\.(embed\..+|w_avg)", r"mapping.\1"),
    (r"synthesis\.input\.weight", "synthesis.input.mixing"),
    (r"synthesis\.input\.(.+)", r"synthesis.input.\1"),
    (r"synthesis\.L\d+_\d+_\d+\.(up|down)_filter", None),
    (r"synthesis\.L(\d+)_\d+_\d+\.(.+)", r"synthesis.layers.\1.\2"),
]
# Reference argument -> our argument.
_SETTINGS = {"c_dim": "num_classes", "img_resolution": "resolution", "img_channels": "channels"} | {
    key: key
    for key in (
        *("z_dim", "w_dim", "channel_base", "channel_max", "num_layers", "num_critical", "first_cutoff"),
        *("first_stopband", "last_stopband_rel", "margin_size", "output_scale", "conv_kernel", "filter_size"),
        *("lrelu_upsampling", "use_radial_filters", "conv_clamp", "magnitude_ema_beta"),
    )
}
_MAPPING = {"num_layers": "mapping_layers", "lr_multiplier": "mapping_lr_multiplier"}
_WITHOUT_EFFECT = {"num_fp16_res", "w_avg_beta", "num_ws"}
_FILTER_ERROR = 1e-4  # of the largest tap: far above float32's rounding, far below another cutoff


def rename_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a generator, or a part of it -> ours. Raises Inexpressible for an unknown name."""
    named = rename(state, GENERATOR_NAMES)
    if named.unexpected:
        raise Inexpressible(f"tensor {named.unexpected[0]}", "no StyleGAN3 generator has a tensor of this name")
    return named.tensors


def generator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference generator's constructor arguments -> ours. Raises Inexpressible for one without a counterpart."""
    flat = {key: value for key, value in config.items() if key not in ("mapping_kwargs", "synthesis_kwargs")}
    flat |= dict(config.get("synthesis_kwargs") or {})
    return translate(flat, _SETTINGS, _WITHOUT_EFFECT) | translate(
        dict(config.get("mapping_kwargs") or {}), _MAPPING, _WITHOUT_EFFECT
    )


def check_filters(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
    """Raise Inexpressible unless the filters of the reference's state dict equal our network's."""
    with ShapesOnly():
        ours = dict(build_generator("stylegan3", **settings).synthesis.named_buffers())
    filters = {name: tensor for name, tensor in state.items() if name.endswith(("up_filter", "down_filter"))}
    for name, theirs in filters.items():
        _, layer, kind = name.rsplit(".", 2)
        own = ours.get(f"layers.{layer.partition('_')[0].removeprefix('L')}.{kind}")
        if own is None or theirs.shape != own.shape or (theirs - own).abs().max() > _FILTER_ERROR * own.abs().max():
            raise Inexpressible(f"filter {name}", "it does not follow from the network's settings")
