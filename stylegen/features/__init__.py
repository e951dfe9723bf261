"""Frozen feature extractors by name. A new one is one file and one row here."""

from collections.abc import Callable
from pathlib import Path

import torch

from stylegen.errors import unknown_choice
from stylegen.features.extractor import FeatureExtractor as FeatureExtractor
from stylegen.features.fidelity import VGG16, Inception
from stylegen.features.random_vgg16 import RandomVGG16

EXTRACTORS: dict[str, Callable[[str | Path | None, torch.device | str], FeatureExtractor]] = {
    "random_vgg16": lambda weights, device: RandomVGG16(device),
    "inception": Inception,
    "vgg16": VGG16,
}


def build_extractor(
    name: str, weights: str | Path | None = None, device: torch.device | str = "cpu"
) -> FeatureExtractor:
    """Construct an extractor by its name.

    Args:
        weights: file or folder of weights, for those that need one; see `weights.require_weights`.

    Raises:
        UserError: an unknown name, or weights that cannot be used.
    """
    if name not in EXTRACTORS:
        raise unknown_choice("extractor", name, EXTRACTORS)
    return EXTRACTORS[name](weights, device)
