"""Inception and VGG16 as torch-fidelity 0.4.0 runs them, and its formulas: the only import of that package.

Only its feature networks and the functions from features to numbers are used. Its own loop over pictures,
its caches (keyed without weights or dataset size) and its sampling of labels are passed by, so that every
choice is ours to make and to state. Pinned to 0.4.0, for these functions are not part of its public face.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.features.extractor import as_rgb, full_precision
from stylegen.features.weights import PUBLISHED, is_published, require_weights, sha256

RNG_SEED = 2020  # torch-fidelity's default: its shuffling (isc) and its subsets (kid) belong to the metric


class Inception:
    """Inception-v3 of 2015-12-05, the network of FID, KID and IS: the 2048 pooled features.

    Enlarges to 299 px as TensorFlow 1 did (bilinear, no antialiasing), then (x - 128) / 128.

    Args:
        weights: see `require_weights`.
        device: where to run.

    Raises:
        UserError: weights that cannot be had, are not plain tensors, or do not fit.
    """

    name = "inception"
    dim = 2048

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        path = checked_weights(self.name, weights)
        with _library():
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        self._network = _build(FeatureExtractorInceptionV3, self.name, "2048", path, device)
        self.device = torch.device(device)
        digest = sha256(path)
        self.weights_id = f"sha256:{digest[:16]}"
        self.recipe = _recipe("Inception-v3 of 2015-12-05", "2048", path, is_published(self.name, digest))

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, 2048]; see `FeatureExtractor`."""
        with full_precision(self.device):
            return self._network(as_rgb(images).to(self.device))[0]

    def logits(self, features: Tensor) -> Tensor:
        """Features [N, 2048] -> logits without bias [N, 1008], those of the inception score."""
        with full_precision(self.device):
            return features.to(self.device).mm(self._network.fc.weight.T)


class VGG16:
    """VGG16 trained on ImageNet (torchvision's weights): the 4096 values after the second dense layer's ReLU.

    The network of precision and recall in torch-fidelity. NVIDIA's VGG16 is another: recall on FFHQ is
    about 6 points lower there. Enlarges to 224 px as for `Inception`, then ImageNet's mean and deviation.

    Args and errors as for `Inception`.
    """

    name = "vgg16"
    dim = 4096

    def __init__(self, weights: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        path = checked_weights(self.name, weights)
        with _library():
            from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
        self._network = _build(FeatureExtractorVGG16, self.name, "fc2_relu", path, device)
        self.device = torch.device(device)
        digest = sha256(path)
        self.weights_id = f"sha256:{digest[:16]}"
        self.recipe = _recipe("VGG16, torchvision IMAGENET1K_V1", "fc2_relu", path, is_published(self.name, digest))

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, 4096]; see `FeatureExtractor`."""
        with full_precision(self.device):
            return self._network(as_rgb(images).to(self.device))[0]


def inception_score(logits: Tensor, splits: int) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))) over `splits` parts: mean and deviation (Salimans et al. 2016, section 4)."""
    with _library():
        from torch_fidelity import metric_isc
    result = metric_isc.isc_features_to_metric(logits, splits, shuffle=True, rng_seed=RNG_SEED)
    return result[metric_isc.KEY_METRIC_ISC_MEAN], result[metric_isc.KEY_METRIC_ISC_STD]


def kernel_distance(fakes: Tensor, reals: Tensor, subsets: int, subset_size: int) -> tuple[float, float]:
    """Unbiased MMD^2 with the kernel (x.y / d + 1)^3, mean and deviation over random subsets.

    Binkowski et al. 2018 (arXiv 1801.01401), section 4. In float64: in the features' float32, which torch-fidelity
    keeps, the three sums of the estimate cancel to about five digits.
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
    """For imports of torch_fidelity, each at first use: with torchvision they take a second.

    When imported, the package adds warning filters for the whole process; they are taken back.
    """
    with warnings.catch_warnings():
        yield


def checked_weights(extractor: str, weights: str | Path | None) -> Path:
    """The weights file, known to hold tensors only: the library loads it with weights_only=False."""
    path, _ = load_weights(extractor, weights)
    return path


def load_weights(extractor: str, weights: str | Path | None) -> tuple[Path, dict[str, Tensor]]:
    """The weights file and its tensors, read without running any code of the file.

    Raises:
        UserError: weights that cannot be had, or are no plain tensors.
    """
    path = require_weights(extractor, weights)
    assert path is not None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or hostile file raises depends on where it is damaged
        raise unusable(extractor, path, "it is no file of plain tensors that torch can read") from error
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise unusable(extractor, path, "it holds something other than a dict of tensors")
    return path, state


def _build(network: Any, extractor: str, layer: str, path: Path, device: torch.device | str) -> Any:
    try:
        return network(extractor, [layer], feature_extractor_weights_path=str(path)).to(device)
    except RuntimeError as error:  # load_state_dict: missing, unexpected or misshapen tensors
        raise unusable(extractor, path, "its tensors are not those of the network") from error


def unusable(extractor: str, path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} cannot be used as {extractor} weights",
        rule=reason,
        fix=f"Leave evaluation.weights out, or {PUBLISHED[extractor].source} and give its path",
    )


def _recipe(network: str, layer: str, path: Path, published: bool) -> dict[str, object]:
    return {
        "network": network,
        "implementation": f"torch-fidelity {version('torch-fidelity')}",
        "features": layer,
        "weights_file": path.name,
        "weights_published": published,
        "precision": "float32",
    }
