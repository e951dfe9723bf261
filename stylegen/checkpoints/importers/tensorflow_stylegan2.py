"""StyleGAN2 in the TensorFlow pickles of NVIDIA's stylegan2 (configurations E and F) and stylegan2-ada.

Kernels are [H, W, I, O] there and [O, I, H, W] here. Up-sampling convolutions are stored mirrored, and the bias of the
styles without its initial one.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from stylegen.checkpoints.importers.foreign_model import (
    ForeignModel,
    Inexpressible,
    Weights,
    fit_discriminator,
    fit_generator,
    rename,
)
from stylegen.checkpoints.importers.tensorflow_network import (
    ANY,
    DISCRIMINATOR_ROWS,
    MAPPING_ROWS,
    function_of,
    kernel,
    networks_of,
    settings_of,
    transposed,
    variables,
)
from stylegen.checkpoints.pickle_data import Record

KIND = "NVIDIA StyleGAN2 (TensorFlow)"
_WHOLE_BATCH = 65536  # `mbstd_group_size=None`; a group is at most the batch
_SHARED = {
    "label_size": "num_classes",
    "resolution": "resolution",
    "num_channels": "channels",
    "fmap_base": "channel_base",
    "fmap_max": "channel_max",
    "architecture": "architecture",
    "nonlinearity": "activation",
    "conv_clamp": "conv_clamp",
    "resample_kernel": "resample_taps",
}
_GENERATOR = _SHARED | {
    "latent_size": "z_dim",
    "dlatent_size": "w_dim",
    "mapping_layers": "mapping_layers",
    "mapping_lrmul": "mapping_lr_multiplier",
    "use_noise": "use_noise",
}
_DISCRIMINATOR = _SHARED | {
    "mbstd_group_size": "mbstd_group_size",
    "mbstd_num_features": "mbstd_num_channels",
    "mapping_layers": "mapping_layers",
}
_FIXED = {
    **dict.fromkeys(("fmap_min", "mapping_fmaps", "label_fmaps", "fmap_const"), ANY),  # show in shapes
    **dict.fromkeys(("num_fp16_res", "dtype", "fused_modconv", "structure", "impl", "conditioning"), ANY),
    "fmap_decay": 1,
    "use_wscale": True,
}
_GENERATOR_FIXED = _FIXED | {
    **dict.fromkeys(("truncation_psi", "truncation_cutoff", "truncation_psi_val", "truncation_cutoff_val"), ANY),
    **dict.fromkeys(("dlatent_avg_beta", "w_avg_beta", "style_mixing_prob", "randomize_noise"), ANY),
    **dict.fromkeys(("mapping_func", "synthesis_func"), ANY),  # known from the variables
    "normalize_latents": True,
    "mapping_nonlinearity": ANY,  # compared below
}
_DISCRIMINATOR_FIXED = _FIXED | {
    **dict.fromkeys(("freeze_layers", "augment_strength", "mapping_lrmul", "pagan_num", "pagan_fade"), ANY),
    "use_pagan": False,
    "use_spectral_norm": False,
    "adaptive_dropout": 0,
    "score_size": 1,
    "score_max": 1,
}


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    networks = networks_of(content)
    return networks is not None and any(name.endswith("mod_weight") for name in variables(networks[2]))


def convert(content: Any) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    networks = networks_of(content)
    assert networks is not None
    notes = []
    averaged, training = _generator(networks[2], "Gs"), _generator(networks[0], "G")
    D = None
    try:
        D = _discriminator(networks[1])
    except Inexpressible as error:
        notes.append(f"D left out: {error.problem}: {error.rule}")
    return ForeignModel(KIND, averaged, D, training, notes)


def _mirrored(tensor: Tensor) -> Tensor:
    return kernel(tensor).flip(2, 3)


def _style_bias(tensor: Tensor) -> Tensor:
    return tensor + 1


def _first_map(tensor: Tensor) -> Tensor:
    return tensor[0, 0]


def _block(layer: str, ours: str, weight: Any = kernel) -> list[tuple[Any, ...]]:
    """Rows of a modulated layer."""
    start, target = rf"synthesis/(\d+)x\1/{layer}/", rf"synthesis.blocks.\1.{ours}"
    return [
        (start + "weight", rf"{target}.weight", weight),
        (start + r"(bias|noise_strength)", rf"{target}.\2"),
        (start + "mod_weight", rf"{target}.affine.weight", transposed),
        (start + "mod_bias", rf"{target}.affine.bias", _style_bias),
    ]


def _noise(match: Any) -> str:
    layer = int(match[1]) + 1
    return f"synthesis.blocks.{4 << layer // 2}.conv{layer % 2}.noise_const"


_GENERATOR_NAMES: list[tuple[Any, ...]] = [
    *MAPPING_ROWS,
    (r"mapping/LabelEmbed/weight", "mapping.embed.weight", transposed),
    (r"mapping/LabelEmbed/bias", "mapping.embed.bias"),
    (r"synthesis/4x4/Const/const", "synthesis.blocks.4.const", lambda tensor: tensor[0]),
    (r"synthesis/noise(\d{1,2})", _noise, _first_map),
    (r"synthesis/(\d+)x\1/Skip/weight", r"synthesis.blocks.\1.skip.weight", _mirrored),
    *_block("(?:Conv|Conv1)", "conv1"),
    *_block("Conv0_up", "conv0", _mirrored),
    *_block("ToRGB", "to_rgb"),
]
_DISCRIMINATOR_NAMES: list[tuple[Any, ...]] = [
    (r"4x4/FromRGB/weight", "epilogue.from_rgb.weight", kernel),
    (r"4x4/FromRGB/bias", "epilogue.from_rgb.bias"),
    *DISCRIMINATOR_ROWS,
    (r"Output/weight", "epilogue.out.weight", transposed),
    (r"Output/bias", "epilogue.out.bias"),
    (r"LabelEmbed/weight", "mapping.embed.weight", transposed),
    (r"LabelEmbed/bias", "mapping.embed.bias"),
    (r"Mapping(\d+)/weight", r"mapping.layers.\1.weight", transposed),
    (r"Mapping(\d+)/bias", r"mapping.layers.\1.bias"),
    (r"(\d+)x\1/FromRGB/weight", r"blocks.\1.from_rgb.weight", kernel),
    (r"(\d+)x\1/FromRGB/bias", r"blocks.\1.from_rgb.bias"),
    (r"(\d+)x\1/Conv1_down/bias", r"blocks.\1.conv1.bias"),
    (r"(\d+)x\1/Skip/weight", r"blocks.\1.skip.weight", kernel),
]


def _generator(network: Record, part: str) -> Weights:
    state = variables(network)
    if "mapping/LabelConcat/weight" in state:
        raise Inexpressible(
            f"{part} of the file", "it concatenates labels before normalizing, which StyleGAN2-ADA changed"
        )
    if any("ToRGB_lod" in name for name in state):
        raise Inexpressible(f"{part} of the file", "configurations A to D of StyleGAN2 grow progressively")
    settings = _complete(settings_of(network, _GENERATOR, _GENERATOR_FIXED))
    arguments: Mapping[str, Any] = network.state.get("static_kwargs") or {}
    if arguments.get("mapping_nonlinearity", "lrelu") != settings.get("activation", "lrelu"):
        raise Inexpressible(f"{part} of the file", "its mapping network has another activation than its layers")
    return fit_generator("stylegan2", settings, rename(state, _GENERATOR_NAMES), part)


def _discriminator(network: Record) -> Weights:
    state = variables(network)
    settings = _complete(settings_of(network, _DISCRIMINATOR, _DISCRIMINATOR_FIXED))
    if settings.get("num_classes", 0) and "LabelEmbed/weight" not in state:
        raise Inexpressible("D of the file", "it selects the logit of a class, which StyleGAN2-ADA changed")
    if any("FromRGB_lod" in name for name in state):
        raise Inexpressible("D of the file", "configurations A to D of StyleGAN2 grow progressively")
    group = settings.setdefault("mbstd_group_size", None if function_of(network) == "D_main" else 4)
    if group is None:
        settings["mbstd_group_size"] = _WHOLE_BATCH
    elif function_of(network) != "D_main" and group in (0, 1):  # disabled there
        settings.update(mbstd_group_size=1, mbstd_num_channels=0)
    arguments: Mapping[str, Any] = network.state.get("static_kwargs") or {}
    layers = settings.setdefault("mapping_layers", 0)
    if not settings.get("num_classes", 0):
        settings["mapping_layers"] = 8  # unused; the default
    elif layers and arguments.get("mapping_lrmul", 0.1) != 0.01:
        raise Inexpressible("mapping_lrmul of D", "the mapping network of labels in D has 0.01 here")
    return fit_discriminator("stylegan2", settings, rename(state, _DISCRIMINATOR_NAMES))


def _complete(settings: dict[str, Any]) -> dict[str, Any]:
    """With their defaults where ours differ, and feature maps counted as ours."""
    base, taps = settings.get("channel_base", 16 << 10), settings.get("resample_taps", [1, 3, 3, 1])
    if not isinstance(base, int):
        raise Inexpressible(f"fmap_base={base}", "must be an integer")
    return {"resolution": 1024} | settings | {"channel_base": 2 * base, "resample_taps": taps or [1, 1]}
