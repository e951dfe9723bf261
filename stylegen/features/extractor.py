"""The protocols of frozen feature extractors and distances, and what their implementations share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from stylegen.errors import UserError

_IMAGES_PER_CHUNK = 128
_PIXELS_PER_CHUNK = 2**22  # 64 float32 channels of this many pixels are 1 GiB


class FeatureExtractor(Protocol):
    """A frozen network from images to features.

    Constructors take `weights` (see `weights.require_weights`), where there are any, and a device. They raise UserError
    for weights that are missing, contain anything but tensors, or do not fit.

    Attributes:
        name: stable part of metric ids and cache keys (``random_vgg16``).
        weights_id: identifies the weights: a recipe with its version, or a hash of the file.
        dim: width of the features.
        recipe: every processing choice from image to features, as JSON values, for the metric card.
    """

    name: str
    weights_id: str
    dim: int
    recipe: dict[str, object]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, dim] on the extractor's device.

        Raises:
            UserError: images with two or four channels.
        """
        ...


class PairDistance(Protocol):
    """A frozen network that measures the perceptual distance of two images.

    Attributes:
        name, weights_id, recipe: see `FeatureExtractor`.
        dim: 1, the distance.
    """

    name: str
    weights_id: str
    dim: int
    recipe: dict[str, object]

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Two float [N, 1 or 3, H, W] in [-1, 1], not quantized -> float32 [N, 1], >= 0."""
        ...


def chunk_size(device: torch.device, on_cpu: int, pixels: int) -> int:
    """Images at a time: `on_cpu`, whose maps nearly fit its caches; on other devices up to 128, if memory allows.

    Args:
        pixels: number of pixels of an image.
    """
    return on_cpu if device.type == "cpu" else max(on_cpu, min(_IMAGES_PER_CHUNK, _PIXELS_PER_CHUNK // pixels))


def as_rgb(images: Tensor) -> Tensor:
    """uint8 NCHW -> uint8 with three channels; gray is repeated, as in the official FID protocol.

    Raises:
        TypeError: not uint8 NCHW.
        UserError: an alpha channel, for which feature networks are not defined.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise TypeError(f"features need uint8 NCHW, not {images.dtype} {list(images.shape)}")
    channels = images.shape[1]
    if channels not in (1, 3):
        raise UserError(
            f"images with {channels} channels",
            rule="metrics are defined for gray (1) and RGB (3) images, not for an alpha channel",
            fix="Flatten the images onto a background: python -m stylegen prepare channels=rgb",
        )
    return images if channels == 3 else images.expand(-1, 3, -1, -1)


@contextmanager
def ieee_float32(device: torch.device) -> Iterator[None]:
    """Context manager: products in IEEE float32, overriding autocast, TF32 and bfloat16 settings of the process.

    By default PyTorch rounds the factors of convolutions to TF32 on NVIDIA GPUs. This changes features by about 1e-3,
    which is more than the differences that metrics report, and changes a path length with its step of 1e-4 many times.
    """
    backends: Any = torch.backends  # mypy does not know its precision switches
    cuda = [backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul]
    switches = [*cuda, backends.mkldnn.conv, backends.mkldnn.matmul]
    before = [switch.fp32_precision for switch in switches]
    matmul = torch.get_float32_matmul_precision()
    try:
        # PyTorch has an older and a newer interface, and raises an error if the two disagree.
        backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        for switch in switches:
            switch.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        backends.cudnn.allow_tf32 = before[0] == "tf32"
        torch.set_float32_matmul_precision(matmul)
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Context manager: `ieee_float32` for a frozen network, without gradients."""
    with ieee_float32(device), torch.inference_mode():
        yield
