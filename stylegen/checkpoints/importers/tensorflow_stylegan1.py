"""StyleGAN in the TensorFlow pickles of NVIDIA's stylegan.

Kernels are [H, W, I, O] there and [O, I, H, W] here, 3x3 also where up- or down-sampling is fused. RGB layers are
counted by level of detail, from the full resolution downwards.
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
from stylegen.checkpoints.importers.stylegan1_names import FUSED_FROM
from stylegen.checkpoints.importers.tensorflow_network import (
    ANY,
    DISCRIMINATOR_ROWS,
    MAPPING_ROWS,
    kernel,
    networks_of,
    settings_of,
    transposed,
    variables,
)
from stylegen.checkpoints.pickle_data import Record
from stylegen.networks import Level

KIND = "NVIDIA StyleGAN (TensorFlow)"
_SHARED = {
    "label_size": "num_classes",
    "resolution": "resolution",
    "num_channels": "channels",
    "fmap_base": "channel_base",
    "fmap_max": "channel_max",
    "fused_scale": "fused_from",
    "blur_filter": "blur_taps",
}
_GENERATOR = _SHARED | {
    "latent_size": "z_dim",
    "dlatent_size": "w_dim",
    "mapping_layers": "mapping_layers",
    "mapping_fmaps": "mapping_dim",
    "mapping_lrmul": "mapping_lr_multiplier",
    "const_input_layer": "const_input",
    "use_noise": "use_noise",
}
_DISCRIMINATOR = _SHARED | {"mbstd_group_size": "mbstd_group_size", "mbstd_num_features": "mbstd_num_channels"}
_FIXED = {
    **dict.fromkeys(("structure", "dtype"), ANY),
    "fmap_decay": 1,
    "nonlinearity": "lrelu",
    "use_wscale": True,
}
_GENERATOR_FIXED = _FIXED | {
    **dict.fromkeys(("truncation_psi", "truncation_cutoff", "truncation_psi_val", "truncation_cutoff_val"), ANY),
    **dict.fromkeys(("dlatent_avg_beta", "style_mixing_prob", "randomize_noise"), ANY),
    "use_styles": True,
    "use_pixel_norm": False,
    "use_instance_norm": True,
    "normalize_latents": True,
    "mapping_nonlinearity": "lrelu",
}


def recognizes(content: Any) -> bool:
    """Whether this is the content of such a file."""
    networks = networks_of(content)
    return networks is not None and any("/StyleMod/" in name for name in variables(networks[2]))


def convert(content: Any) -> ForeignModel:
    """The networks of the file. Raises UserError."""
    networks = networks_of(content)
    assert networks is not None
    averaged, training = _generator(networks[2], "Gs"), _generator(networks[0], "G")
    return ForeignModel(KIND, averaged, _discriminator(networks[1]), training)


def _layer(name: str, ours: str) -> list[tuple[Any, ...]]:
    """Rows of what follows a convolution, and of its weights."""
    start, target = rf"synthesis/(\d+)x\1/{name}/", rf"synthesis.blocks.\1.{ours}"
    return [
        (start + "weight", rf"{target}.conv.weight", kernel),
        (start + "bias", rf"{target}.bias"),
        (start + "Noise/weight", rf"{target}.noise.strength"),
        (start + "StyleMod/weight", rf"{target}.conditioning.affine.weight", transposed),
        (start + "StyleMod/bias", rf"{target}.conditioning.affine.bias"),
    ]


def _generator(network: Record, part: str) -> Weights:
    settings = _complete({"mapping_dim": 512} | settings_of(network, _GENERATOR, _GENERATOR_FIXED))
    resolution = settings["resolution"]

    def to_rgb(match: Any) -> str:
        return f"synthesis.blocks.{resolution >> int(match[1])}.to_rgb.{match[2]}"

    def noise(match: Any) -> str:
        return f"synthesis.blocks.{4 << int(match[1]) // 2}.layer{int(match[1]) % 2}.noise.const"

    rows: list[tuple[Any, ...]] = [
        *MAPPING_ROWS,
        (r"mapping/LabelConcat/weight", "mapping.embedding"),
        (r"synthesis/4x4/Const/const", "synthesis.input.const", lambda tensor: tensor[0]),
        (r"synthesis/4x4/Dense/weight", "synthesis.input.weight", transposed),
        (r"synthesis/noise(\d{1,2})", noise, lambda tensor: tensor[0, 0]),
        (r"synthesis/ToRGB_lod(\d{1,2})/(weight)", to_rgb, kernel),
        (r"synthesis/ToRGB_lod(\d{1,2})/(bias)", to_rgb),
        *_layer("(?:Const|Dense|Conv0_up)", "layer0"),
        *_layer("(?:Conv|Conv1)", "layer1"),
    ]
    state = variables(network)
    return fit_generator("stylegan1", settings, rename(state, rows), part, _level(state, resolution))


def _discriminator(network: Record) -> Weights:
    settings = _complete({"channels": 1, "resolution": 32} | settings_of(network, _DISCRIMINATOR, _FIXED))
    resolution = settings["resolution"]
    if settings.get("mbstd_group_size", 4) in (0, 1):  # disabled there
        settings.update(mbstd_group_size=1, mbstd_num_channels=0)

    def from_rgb(match: Any) -> str:
        side = resolution >> int(match[1])
        return f"{'epilogue' if side == 4 else f'blocks.{side}'}.from_rgb.{match[2]}"

    rows: list[tuple[Any, ...]] = [
        (r"lod", None),
        (r"FromRGB_lod(\d{1,2})/(weight)", from_rgb, kernel),
        (r"FromRGB_lod(\d{1,2})/(bias)", from_rgb),
        *DISCRIMINATOR_ROWS,
        (r"4x4/Dense1/weight", "epilogue.out.weight", transposed),
        (r"4x4/Dense1/bias", "epilogue.out.bias"),
        (r"(\d+)x\1/Conv1_down/bias", r"blocks.\1.bias1"),
    ]
    return fit_discriminator("stylegan1", settings, rename(variables(network), rows))


def _level(state: Mapping[str, Tensor], resolution: int) -> Level | None:
    """The level of a network that was saved while it grew: resolution / 2^floor(lod), fading by lod's fraction."""
    lod = float(state["lod"]) if "lod" in state else 0.0
    if not 0 <= lod < resolution.bit_length():
        raise Inexpressible(f"lod={lod}", "must be a level of detail from 0 (full size) to the level of 4 px")
    return Level(resolution >> int(lod), 1 - (lod - int(lod))) if lod else None


def _complete(settings: dict[str, Any]) -> dict[str, Any]:
    """With their defaults where ours differ, and values in our form."""
    base, fused = settings.get("channel_base", 8192), settings.get("fused_from", "auto")
    settings = {"resolution": 1024} | settings
    if type(settings["resolution"]) is not int or type(base) is not int or fused not in FUSED_FROM:
        raise Inexpressible(
            f"fmap_base={base!r:.40} fused_scale={fused!r:.40}", "no published network has this setting"
        )
    taps = settings.get("blur_taps", [1, 2, 1]) or [1]
    return settings | {"channel_base": 2 * base, "fused_from": FUSED_FROM[fused], "blur_taps": taps}
