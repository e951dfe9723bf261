"""Base class of regularizers, and the records that they receive."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class CriticBatch:
    """Input of a discriminator regularizer.

    Attributes:
        critic: images [N, C, H, W], labels -> logits [N, 1], including augmentation.
        real: images in [-1, 1]; labels: [N, num_classes].
        downscale: R / r for images at resolution r of final resolution R; 1 without progressive growing.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    real: Tensor
    labels: Tensor
    downscale: int = 1


@dataclass(frozen=True)
class SynthesisBatch:
    """Input of a generator regularizer.

    Attributes:
        ws: [N, L, D], part of the graph of `images`.
        images: [N, C, H, W], synthesised from `ws`.
        direction: standard normal noise of the shape of `images`.
    """

    ws: Tensor
    images: Tensor
    direction: Tensor


class Regularizer(nn.Module, ABC):
    """One value for each image (`measure`), reduced to a scalar (`combine`).

    `measure` receives one process's micro-batch, `combine` the values of the whole batch. State, such as a moving
    average, is a buffer that `combine` updates. A subclass annotates its arguments with bounds and calls
    `check_arguments` first.

    Args:
        every: steps between evaluations of the term, which is then multiplied by this number (lazy regularization,
            Karras et al. 2020b, section 3.1); 1 adds it to the main loss.
        batch_shrink: n, to use only the first 1 / n of the batch.

    Attributes:
        network: "G" or "D", the network that the term trains; selects `SynthesisBatch` or `CriticBatch`.
        coupled: `combine` is not a mean over images, so it needs the values of the whole batch.
    """

    network: ClassVar[str]
    coupled: ClassVar[bool] = False

    def __init__(self, every: int, batch_shrink: int = 1) -> None:
        super().__init__()
        self.every, self.batch_shrink = every, batch_shrink

    @abstractmethod
    def measure(self, batch: Any) -> Tensor:
        """`CriticBatch` or `SynthesisBatch` -> [N], differentiable."""

    @abstractmethod
    def combine(self, values: Tensor) -> Tensor:
        """[N] -> scalar."""

    def forward(self, batch: Any) -> Tensor:
        """The term for a whole batch."""
        return self.combine(self.measure(batch))
