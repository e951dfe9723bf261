"""The side that is measured: pictures by number, so that processes can share them and a score can be continued."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from stylegen.features import PairDistance
from stylegen.metrics.engine.reals import RealImages
from stylegen.metrics.protocol.metric import Walk


@runtime_checkable
class NumberedPictures(Protocol):
    """Pictures of which number i is a function of i alone."""

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """uint8 [n, C, H, W] with these numbers, in their order, a batch at a time."""
        ...


@runtime_checkable
class WalkablePictures(NumberedPictures, Protocol):
    """Pictures of a generator, whose latents can be walked through."""

    def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
        """float32 [n, 1] of the paths with these numbers; see `metrics.path_length`."""
        ...


class StoredPictures:
    """The images of a dataset in a given order.

    Args:
        images: the dataset.
        batch_size: images at a time.
        order: numbers of the images that count, by default all in their order.
    """

    def __init__(self, images: RealImages, batch_size: int, order: list[int] | None = None) -> None:
        self.images, self.batch_size = images, batch_size
        self.order = list(range(images.num_images)) if order is None else order

    def __len__(self) -> int:
        return len(self.order)

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """uint8 [n, C, H, W] with these numbers, a batch at a time."""
        for start in range(0, len(numbers), self.batch_size):
            chosen = [self.order[i] for i in numbers[start : start + self.batch_size]]
            yield self.images.batch(torch.tensor(chosen))[0]


class Stream:
    """Batches of pictures that come in their order and once: for a single process, and from the beginning."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        self._batches = batches

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        """The pictures as they come, as many as there are numbers."""
        left = len(numbers)
        for batch in self._batches:
            yield batch[:left]
            left -= len(batch)
            if left <= 0:
                return
