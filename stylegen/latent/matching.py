"""The distance of two images that projection minimizes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

_PYRAMID_TO = 8  # pixels
_PERCEPTUAL_FROM = 256  # pixels; larger images are reduced for the perceptual distance (appendix D)


class Embedding(Protocol):
    """A differentiable map of images [N, C, H, W] in [-1, 1] to vectors; distances are squared Euclidean ones."""

    def embed(self, images: Tensor) -> Tensor:
        """-> [N, K]."""
        ...


@dataclass(frozen=True)
class Matching:
    """The distance of two images that is minimized: perceptual + pixel_weight * pixels.

    pixels = mean over scales of the mean squared difference, each scale half the last, down to 8 px. The perceptual
    distance is measured on images reduced to 256 px, if they are larger.

    Args:
        perceptual: such as LPIPS.
        pixel_weight: factor on the differences of pixels, which are in [-1, 1].
    """

    perceptual: Embedding
    pixel_weight: float = 1.0

    def embed(self, images: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] -> [N, K]."""
        scales = list(_pyramid(images))
        seen = next((x for x in scales if x.shape[-1] <= _PERCEPTUAL_FROM), images)
        pixels = [(x * math.sqrt(self.pixel_weight / (x[0].numel() * len(scales)))).flatten(1) for x in scales]
        return torch.cat([self.perceptual.embed(seen), *pixels], dim=1)

    def distances(self, images: Tensor, goals: Tensor) -> Tensor:
        """Images [N, C, H, W] and embedded ones [N, K] -> [N]."""
        return (self.embed(images) - goals).square().sum(dim=1)


def _pyramid(images: Tensor) -> Iterator[Tensor]:
    yield images
    while images.shape[-1] > _PYRAMID_TO:
        images = functional.avg_pool2d(images, 2)
        yield images


def mean_absolute_error(images: Tensor, targets: Tensor) -> Tensor:
    """Of images in [-1, 1], clamped, per image: [N], of pixels in [0, 1]."""
    return (images.clamp(-1, 1) - targets).abs().mean(dim=(1, 2, 3)) / 2
