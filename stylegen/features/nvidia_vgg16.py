"""NVIDIA's VGG16, the network of `pr50k3_full`: recall is about 6 points lower with it than with torchvision's."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.features.extractor import as_rgb, full_precision
from stylegen.features.weights import PUBLISHED, require_weights, sha256, unusable


class NvidiaVGG16:
    """The 4096 features of NVIDIA's precision and recall.

    The file is a TorchScript archive, which contains code and cannot be read with weights_only=True. So only a
    file with the published hash is loaded.
    """

    name = "nvidia_vgg16"
    dim = 4096

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        path = require_weights(self.name, weights)
        assert path is not None
        digest = sha256(path)
        if not digest.startswith(PUBLISHED[self.name].hash_prefix):
            raise unusable(self.name, path, f"its SHA-256 {digest[:8]}... is not the published one")
        self.device = torch.device(device)
        self._network: Any = torch.jit.load(str(path), map_location=self.device).eval()
        self.weights_id = f"sha256:{digest[:16]}"
        self.recipe: dict[str, object] = {
            "network": "VGG16 as published with StyleGAN2-ADA",
            "features": "return_features",
            "weights_file": path.name,
            "precision": "float32",
        }

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, 4096]; see `FeatureExtractor`."""
        with full_precision(self.device):
            return self._network(as_rgb(images).to(self.device), return_features=True)
