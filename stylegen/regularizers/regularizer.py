"""What every regulariser shares: the records it is handed, which network it trains, and how often."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class CriticBatch:
    """For regularisers of the discriminator.

    Attributes:
        critic: images [N, C, H, W], labels -> logits [N, 1]; augmentation, where there is any, is inside.
        real: images in [-1, 1]; labels: [N, num_classes].
        downscale: full-size pixels along a side of which each pixel of `real` is the mean: R / r for images at
            resolution r of final resolution R, 1 where nothing grows.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    real: Tensor
    labels: Tensor
    downscale: int = 1


@dataclass(frozen=True)
class SynthesisBatch:
    """For regularisers of the generator.

    Attributes:
        ws: [N, L, D], part of the graph of `images`.
        images: [N, C, H, W], synthesised from `ws`.
        direction: standard normal noise, as `images`.
    """

    ws: Tensor
    images: Tensor
    direction: Tensor


class Regularizer(nn.Module, ABC):
    """Measures every image with the network, then makes one scalar of the measurements.

    The two halves are apart so that a batch may be spread over processes and micro-batches: `measure` sees a part of
    it, `combine` all measurements. State that training must keep (a moving mean) is a buffer and moves in `combine`.
    A subclass annotates its arguments with their bounds and calls `check_arguments` first.

    Args:
        every: the term is evaluated at every n-th training step and then counts n-fold (lazy regularisation,
            Karras et al. 2020b, section 3.1); 1 adds it to the main loss.
        batch_shrink: the term sees the first 1 / n of the batch.

    Attributes:
        network: "G" or "D": the one whose parameters the term trains, which also decides the record.
        coupled: `combine` is more than a mean of something of each image alone, so parts of the batch cannot be
            combined one by one.
    """

    network: ClassVar[str]
    coupled: ClassVar[bool] = False

    def __init__(self, every: int, batch_shrink: int = 1) -> None:
        super().__init__()
        self.every, self.batch_shrink = every, batch_shrink

    @abstractmethod
    def measure(self, batch: Any) -> Tensor:
        """One number for each image, differentiable: `CriticBatch` or `SynthesisBatch` -> [N]."""

    @abstractmethod
    def combine(self, values: Tensor) -> Tensor:
        """[N] -> scalar."""

    def forward(self, batch: Any) -> Tensor:
        """The term of one whole batch."""
        return self.combine(self.measure(batch))
