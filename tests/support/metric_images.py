"""Small procedural images with modes, and an in-memory dataset of them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stylegen import randomness
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.reals import Progress
from stylegen.metrics.protocol.evaluation_settings import EvaluationSettings
from stylegen.spec import ImageSpec

NUM_MODES = 10


def portraits(count: int, side: int = 32, first: int = 0) -> Tensor:
    """uint8 [count, 3, side, side]: an outlined disc on a light ground with a bar above; image i has mode i % 10."""
    index = torch.arange(first, first + count)
    jitter = randomness.uniform(0, "tests/jitter", index, (4, 1, 1)) - 0.5
    mode = randomness.uniform(0, "tests/mode", index % NUM_MODES, (8, 1, 1))
    rows = torch.linspace(-1, 1, side).reshape(1, side, 1)
    columns = torch.linspace(-1, 1, side).reshape(1, 1, side)
    distance = ((rows - 0.2 * jitter[:, 0] - 0.1) ** 2 + (columns - 0.2 * jitter[:, 1]) ** 2).sqrt()
    radius = 0.4 + 0.3 * mode[:, 0] + 0.1 * jitter[:, 2]
    images = torch.full((count, 3, side, side), 0.95)
    bar = (rows > -0.95) & (rows < -0.9 + 0.5 * mode[:, 1]) & (columns.abs() < 0.3 + 0.6 * mode[:, 7])
    for channel in range(3):
        images[:, channel][bar] = mode[:, 1 + channel].expand(-1, side, side)[bar]
        disc = distance < radius
        images[:, channel][disc] = (0.2 + 0.7 * mode[:, 4 + channel]).expand(-1, side, side)[disc]
        images[:, channel][(distance - radius).abs() < 0.06] = 0.05
    return (images * 255).round().to(torch.uint8)


def blurred(images: Tensor, sigma: float) -> Tensor:
    taps = torch.exp(-((torch.arange(-6, 7) / sigma) ** 2) / 2)
    taps = (taps / taps.sum()).expand(3, 1, 1, 13)
    padded = functional.pad(images.float(), (6, 6, 6, 6), mode="replicate")
    rows = functional.conv2d(padded, taps, groups=3)
    return functional.conv2d(rows, taps.transpose(2, 3), groups=3).round().clamp(0, 255).to(torch.uint8)


def noisy(images: Tensor, sigma: float) -> Tensor:
    noise = randomness.normal(0, "tests/noise", torch.arange(len(images)), images.shape[1:])
    return (images + sigma * noise).round().clamp(0, 255).to(torch.uint8)


@dataclass
class Reals:
    """An in-memory dataset that counts the images read."""

    images: Tensor
    name: str = "procedural"
    spec: ImageSpec = field(init=False)
    images_read: int = 0

    def __post_init__(self) -> None:
        self.spec = ImageSpec(self.images.shape[-1], self.images.shape[1])

    @property
    def num_images(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.images.numpy().tobytes()).hexdigest()[:16]

    def batch(self, indices: Tensor, /) -> tuple[Tensor, Tensor]:
        self.images_read += len(indices)
        return self.images[indices], torch.empty(len(indices), 0)


def evaluation_of(
    metrics: list[str], num_samples: int, reals: Any, *, progress: Progress | None = None, **settings: Any
) -> Evaluation:
    """An evaluation with these `evaluation.*` settings."""
    return Evaluation(metrics, num_samples, reals, EvaluationSettings(**settings), progress=progress)


class Thumbnail:
    """A cheap extractor for tests that do not depend on the network: gray values of a 4x4 thumbnail."""

    name = "random_vgg16"
    dim = 16

    def __init__(self, weights_id: str = "thumbnail") -> None:
        self.weights_id = weights_id
        self.recipe: dict[str, object] = {"network": "thumbnail"}

    def __call__(self, images: Tensor) -> Tensor:
        gray = images.float().mean(dim=1, keepdim=True)
        return functional.adaptive_avg_pool2d(gray, 4).flatten(1)


class SquaredDifference:
    """A distance that can be computed by hand."""

    name, weights_id, dim = "squared_difference", "none", 1
    recipe: dict[str, object] = {}  # noqa: RUF012

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        return (first.double() - second.double()).square().flatten(1).sum(1, keepdim=True).float()
