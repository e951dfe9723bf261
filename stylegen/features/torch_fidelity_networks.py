"""Inception and VGG16 as torch-fidelity 0.4.0 runs them, and its formulas: the only import of that package.

Only its feature networks and its functions from features to numbers are used. Its image loop, its caches (the keys omit
weights and dataset size) and its label sampling are not; these choices are explicit in stylegen. Pinned to 0.4.0,
because these functions are not part of its public interface.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.features.extractor import as_rgb, full_precision
from stylegen.features.weights import load_weights, unusable

RNG_SEED = 2020  # torch-fidelity's default: its shuffling (isc) and its subsets (kid) are part of the metric


class _Network(ABC):
    """One of the package's feature networks, frozen."""

    name: str
    dim: int
    description: str
    layer: str

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        loaded = load_weights(self.name, weights)  # the package itself loads with weights_only=False
        self.device = torch.device(device)
        try:
            network = self._network_class()(self.name, [self.layer], feature_extractor_weights_path=str(loaded.path))
        except RuntimeError as error:  # load_state_dict: missing, unexpected or misshapen tensors
            raise unusable(self.name, loaded.path, "its tensors do not match the network") from error
        self._network = network.to(self.device)
        self.weights_id = loaded.id
        self.recipe: dict[str, object] = {
            "network": self.description,
            "implementation": f"torch-fidelity {version('torch-fidelity')}",
            "features": self.layer,
            "weights_file": loaded.path.name,
            "weights_published": loaded.is_published,
            "precision": "float32",
        }

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, dim]; see `FeatureExtractor`."""
        with full_precision(self.device):
            return self._network(as_rgb(images).to(self.device))[0]

    @abstractmethod
    def _network_class(self) -> Any:
        """The class of torch-fidelity that computes the features."""


class Inception(_Network):
    """Inception-v3 of 2015-12-05, the network of FID, KID and IS: the 2048 pooled features.

    Resizes to 299 px as TensorFlow 1 did (bilinear, no antialiasing), then (x - 128) / 128.
    """

    name = "inception"
    dim = 2048
    description = "Inception-v3 of 2015-12-05"
    layer = "2048"

    def logits(self, features: Tensor) -> Tensor:
        """Features [N, 2048] -> logits without bias [N, 1008], as used by the inception score."""
        with full_precision(self.device):
            return features.to(self.device).mm(self._network.fc.weight.T)

    def _network_class(self) -> Any:
        with _library():
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        return FeatureExtractorInceptionV3


class VGG16(_Network):
    """VGG16 trained on ImageNet (torchvision's weights): the 4096 values after the second dense layer's ReLU.

    The network of precision and recall in torch-fidelity. NVIDIA's VGG16 is a different one: recall on FFHQ is about 6
    points lower there. Resizes to 224 px as `Inception` does, then ImageNet's mean and standard deviation.
    """

    name = "vgg16"
    dim = 4096
    description = "VGG16, torchvision IMAGENET1K_V1"
    layer = "fc2_relu"

    def _network_class(self) -> Any:
        with _library():
            from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
        return FeatureExtractorVGG16


def inception_score(logits: Tensor, splits: int) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))) on `splits` parts: mean and deviation (Salimans et al. 2016, section 4)."""
    with _library():
        from torch_fidelity import metric_isc
    result = metric_isc.isc_features_to_metric(logits, splits, shuffle=True, rng_seed=RNG_SEED)
    return result[metric_isc.KEY_METRIC_ISC_MEAN], result[metric_isc.KEY_METRIC_ISC_STD]


def kernel_distance(fakes: Tensor, reals: Tensor, subsets: int, subset_size: int) -> tuple[float, float]:
    """Unbiased MMD^2 with the kernel (x.y / d + 1)^3: mean and deviation over random subsets.

    Binkowski et al. 2018 (arXiv 1801.01401), section 4. Computed in float64: in float32, as torch-fidelity does, the
    three sums of the estimate cancel to about five digits.
    """
    with _library():
        from torch_fidelity import metric_kid
    result = metric_kid.kid_features_to_metric(
        fakes.double(),
        reals.double(),
        kid_subsets=subsets,
        kid_subset_size=subset_size,
        rng_seed=RNG_SEED,
        verbose=False,
    )
    return result[metric_kid.KEY_METRIC_KID_MEAN], result[metric_kid.KEY_METRIC_KID_STD]


@contextmanager
def _library() -> Iterator[None]:
    """Context manager for imports of torch_fidelity: undoes the warning filters that it installs.

    Imported on first use, because it takes a second with torchvision.
    """
    with warnings.catch_warnings():
        yield
