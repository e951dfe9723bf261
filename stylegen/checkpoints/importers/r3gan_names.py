"""Names and settings of R3GAN's published networks -> ours.

Parameters keep their values. The filter (`Resampler.Kernel`) follows from the settings and is dropped.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from stylegen.checkpoints.importers.foreign_model import (
    Inexpressible,
    Renamed,
    Row,
    channel_settings,
    rename,
    translate,
)

# Reference argument -> our argument; widths and the filter are translated by hand.
_SETTINGS = {
    "NoiseDimension": "z_dim",
    "BlocksPerStage": "blocks",
    "CardinalityPerStage": "cardinality",
    "ExpansionFactor": "expansion",
    "KernelSize": "kernel_size",
    "ConditionEmbeddingDimension": "embedding_dim",
    "c_dim": "num_classes",
    "img_resolution": "resolution",
}
_WITHOUT_EFFECT = {"FP16Stages", "ResamplingFilter", "WidthPerStage"}
_CONVOLUTIONS = {"1": "expand", "2": "grouped", "3": "project"}


def _in_block(stage: Callable[[int], str], first: int) -> list[Row]:
    """Rows of the tensors of a residual block.

    Args:
        stage: number of a stage -> our prefix.
        first: number of the first residual block among the reference's layers.
    """

    def name(kind: str) -> Callable[[re.Match[str]], str]:
        def build(match: re.Match[str]) -> str:
            layer = int(match[2]) - first
            return f"{stage(int(match[1]))}.layers.{layer}.{_CONVOLUTIONS[match[3]]}.{kind}"

        return build

    start = r"Model\.MainLayers\.(\d+)\.Layers\.(\d+)\."
    return [
        (start + r"LinearLayer([123])\.Layer\.weight", name("weight")),
        (start + r"NonLinearity([12])\.Bias", name("bias")),
        (start + r"Resampler\.Kernel", None),
    ]


def _stage_weight(stage: Callable[[int], str]) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{stage(int(match[1]))}.resize.weight"


def generator_names(state: Mapping[str, Tensor]) -> Renamed:
    """Reference state dict of a generator, or a part of it -> ours."""

    def stage(number: int) -> str:
        return f"synthesis.blocks.{4 << number}"

    rows: list[Row] = [
        (r"Model\.MainLayers\.0\.Layers\.0\.Basis", "synthesis.input.basis"),
        (r"Model\.MainLayers\.0\.Layers\.0\.LinearLayer\.weight", "synthesis.input.affine.weight"),
        (r"Model\.MainLayers\.(\d+)\.Layers\.0\.LinearLayer\.Layer\.weight", _stage_weight(stage)),
        *_in_block(stage, first=1),
        (r"Model\.AggregationLayer\.Layer\.weight", "synthesis.to_rgb.weight"),
        (r"Model\.EmbeddingLayer\.weight", "mapping.embedding.weight"),
    ]
    return rename(state, rows)


def discriminator_names(state: Mapping[str, Tensor], resolution: int) -> Renamed:
    """Reference state dict of a discriminator for images of `resolution`, or a part of it -> ours."""

    def stage(number: int) -> str:
        return "epilogue" if resolution >> number == 4 else f"blocks.{resolution >> number}"

    rows: list[Row] = [
        (r"Model\.ExtractionLayer\.Layer\.weight", "from_rgb.weight"),
        (r"Model\.MainLayers\.\d+\.Layers\.\d+\.Basis\.weight", "epilogue.basis", lambda tensor: tensor.squeeze(1)),
        (r"Model\.MainLayers\.\d+\.Layers\.\d+\.LinearLayer\.weight", "epilogue.out.weight"),
        (r"Model\.MainLayers\.(\d+)\.Layers\.\d+\.LinearLayer\.Layer\.weight", _stage_weight(stage)),
        *_in_block(stage, first=0),
        (r"Model\.EmbeddingLayer\.weight", "embedding.weight"),
    ]
    return rename(state, rows)


def rename_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Reference state dict of a generator, or a part of it -> ours. Raises Inexpressible for an unknown name."""
    return _strict(generator_names(state))


def rename_discriminator(state: Mapping[str, Tensor], resolution: int) -> dict[str, Tensor]:
    """Reference state dict of a discriminator, or a part of it -> ours. Raises Inexpressible for an unknown name."""
    return _strict(discriminator_names(state, resolution))


def _strict(named: Renamed) -> dict[str, Tensor]:
    if named.unexpected:
        raise Inexpressible(f"tensor {named.unexpected[0]}", "no R3GAN network has a tensor of this name")
    return named.tensors


def generator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The reference generator's constructor arguments -> ours. Raises Inexpressible for one without a counterpart."""
    return _settings(config, list(config["WidthPerStage"]))


def discriminator_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the discriminator, whose lists run from the image to 4 px."""
    reversed_lists = {key: list(config[key])[::-1] for key in ("BlocksPerStage", "CardinalityPerStage")}
    return _settings({**config, **reversed_lists}, list(config["WidthPerStage"])[::-1])


def _settings(config: Mapping[str, Any], widths: Sequence[int]) -> dict[str, Any]:
    """Args: widths: from 4 px up."""
    settings = translate(config, _SETTINGS, _WITHOUT_EFFECT)
    settings |= channel_settings({4 << k: width for k, width in enumerate(widths)})
    if "ResamplingFilter" in config:
        settings["resample_taps"] = interpolation_taps(config["ResamplingFilter"])
    if config["img_resolution"] != 2 << len(widths):
        raise Inexpressible(f"img_resolution={config['img_resolution']}", f"the network has {len(widths)} stages")
    return settings


def interpolation_taps(taps: Sequence[float]) -> list[float]:
    """The reference's filter after nearest-neighbor up-sampling: [1, 2, 1] -> [1, 3, 3, 1]."""
    return [a + b for a, b in zip([0, *taps], [*taps, 0], strict=True)]
