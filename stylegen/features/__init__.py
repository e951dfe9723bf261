"""Frozen feature extractors by name. A new one is one file and one row here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from stylegen.errors import unknown_choice
from stylegen.features.efficientnet_lite0 import EfficientNetLite0
from stylegen.features.extractor import FeatureExtractor as FeatureExtractor
from stylegen.features.extractor import PairDistance as PairDistance
from stylegen.features.extractor import ieee_float32 as ieee_float32
from stylegen.features.lpips import LPIPS, RandomLPIPS
from stylegen.features.nvidia_vgg16 import NvidiaVGG16
from stylegen.features.random_vgg16 import RandomVGG16
from stylegen.features.squared_error import SquaredError as SquaredError
from stylegen.features.torch_fidelity_networks import VGG16, Inception
from stylegen.features.weights import is_present

EXTRACTORS: dict[str, Callable[[str | Path | None, torch.device | str], FeatureExtractor]] = {
    "efficientnet_lite0": EfficientNetLite0,
    "random_vgg16": lambda weights, device: RandomVGG16(device),
    "inception": Inception,
    "vgg16": VGG16,
    "nvidia_vgg16": NvidiaVGG16,
}
# Distances of pairs of images, for properties of a generator: path length and equivariance.
DISTANCES: dict[str, Callable[[str | Path | None, torch.device | str], PairDistance | SquaredError]] = {
    "lpips": LPIPS,
    "lpips_random_vgg16": lambda weights, device: RandomLPIPS(device),
    "squared_error": lambda weights, device: SquaredError(),
}


def build_extractor(name: str, weights: str | Path | None = None, device: torch.device | str = "cpu") -> Any:
    """Construct an extractor, or a distance between images, by its name.

    Args:
        weights: file or folder of weights, for those that need one; see `weights.require_weights`.

    Raises:
        UserError: an unknown name, or weights that cannot be used.
    """
    known: dict[str, Callable[..., Any]] = {**EXTRACTORS, **DISTANCES}
    if name not in known:
        raise unknown_choice("extractor", name, known)
    return known[name](weights, device)


def choose_extractor(name: str, weights: str | Path | None = None) -> str:
    """The name; "auto" is efficientnet_lite0 if its weights are on this machine, else random_vgg16."""
    if name != "auto":
        return name
    return "efficientnet_lite0" if is_present("efficientnet_lite0", weights) else "random_vgg16"
