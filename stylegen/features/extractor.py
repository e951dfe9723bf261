"""What a frozen feature extractor is, and what all of them do alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from stylegen.errors import UserError


class FeatureExtractor(Protocol):
    """A frozen network that describes pictures; never trained, the same numbers for ever.

    Attributes:
        name: stable part of metric ids and cache keys (``random_vgg16``).
        weights_id: says which weights these are: a recipe with its version, or a hash of the file.
        dim: width of the features.
        recipe: every choice between the picture and the features, as JSON values, for the metric card.
    """

    name: str
    weights_id: str
    dim: int
    recipe: dict[str, object]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, dim] on the extractor's device.

        Raises:
            UserError: pictures with two or four channels.
        """
        ...


class PairDistance(Protocol):
    """A frozen network that says how far apart two pictures look.

    Attributes:
        name, weights_id, recipe: as for `FeatureExtractor`.
        dim: 1, the distance.
    """

    name: str
    weights_id: str
    dim: int
    recipe: dict[str, object]

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Two float [N, 1 or 3, H, W] in [-1, 1], not quantised -> float32 [N, 1], at least 0."""
        ...


def as_rgb(images: Tensor) -> Tensor:
    """uint8 NCHW -> uint8 with three channels; grey is repeated, as the official FID protocol does.

    Raises:
        TypeError: not uint8 NCHW.
        UserError: an alpha channel, about which no feature network knows anything.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise TypeError(f"features want uint8 NCHW, not {images.dtype} {list(images.shape)}")
    channels = images.shape[1]
    if channels not in (1, 3):
        raise UserError(
            f"pictures with {channels} channels",
            rule="metrics are defined for grey (1) and RGB (3) pictures, not for an alpha channel",
            fix="Flatten the pictures onto a background before measuring them",
        )
    return images if channels == 3 else images.expand(-1, 3, -1, -1)


@contextmanager
def ieee_float32(device: torch.device) -> Iterator[None]:
    """Context manager: products in IEEE float32, whatever autocast, TF32 or bfloat16 setting the process has.

    PyTorch lets an NVIDIA GPU round the factors of convolutions to TF32 unless told otherwise. That moves features by
    about 1e-3, more than the differences that metrics report, and a path length, whose step is 1e-4, many times over.
    """
    backends: Any = torch.backends  # its precision switches are set at run time
    cuda = [backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul]
    switches = [*cuda, backends.mkldnn.conv, backends.mkldnn.matmul]
    before = [switch.fp32_precision for switch in switches]
    matmul = torch.get_float32_matmul_precision()
    try:
        # PyTorch has an older and a newer interface, and refuses to multiply where the two disagree.
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
