"""The order of training images: endless, and a function of the number of images seen only.

Global image k is item `permutation(k // n)[k % n]` of a dataset of n items. Each n images from a multiple of n contain
every item once, and the order depends neither on the number of processes nor on interruptions.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from stylegen.errors import UserError
from stylegen.randomness import attempt_purpose, permutation


class ImageOrder:
    """The endless order of a dataset's items.

    Args:
        num_items: length of the dataset, at least 1.
        seed: key of the permutations, the seed of the run.
        attempt: number of the training attempt; each has its own order.
    """

    def __init__(self, num_items: int, seed: int, attempt: int = 0) -> None:
        if num_items < 1:
            raise ValueError(f"num_items={num_items}: an order needs at least one item")
        self.num_items, self.seed = num_items, seed
        self.purpose = attempt_purpose("data/order", attempt)
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.int64)

    def indices(self, start: int, count: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """Dataset indices of this rank's share of the global images `start` to `start + count - 1`.

        Args:
            start: the first global image, from 0.
            count: number of global images over all ranks.
            rank: this rank takes the images start + rank, start + rank + world_size, ...
            world_size: number of ranks.

        Returns:
            int64 [ceil((count - rank) / world_size)], in [0, num_items).
        """
        return self.at(torch.arange(start + rank, start + count, world_size) if rank < count else torch.arange(0))

    def at(self, images: Tensor) -> Tensor:
        """Dataset indices of global images: int64 [N] -> int64 [N]."""
        epochs, positions = images // self.num_items, images % self.num_items
        result = torch.empty_like(images)
        for epoch in epochs.unique().tolist():
            here = epochs == epoch
            result[here] = self._order(epoch)[positions[here]]
        return result

    def _order(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            self._permutation = permutation(self.num_items, self.seed, self.purpose, epoch)
            self._epoch = epoch
        return self._permutation


class HalfLabeledOrder(ImageOrder):
    """Global image 2 k is labeled, image k of the order of the labeled items; 2 k + 1 is image k of the order of all.

    Args:
        labeled: int64 [L], the labeled items, at least one.
        num_items, seed, attempt: see `ImageOrder`.
    """

    def __init__(self, labeled: Tensor, num_items: int, seed: int, attempt: int = 0) -> None:
        super().__init__(num_items, seed, attempt)
        self.labeled = labeled
        self._own = ImageOrder(len(labeled), seed, attempt)
        self._own.purpose = f"{self.purpose}/labelled"  # former spelling kept: another key is another order

    def at(self, images: Tensor) -> Tensor:
        result, even = torch.empty_like(images), images % 2 == 0
        result[even] = self.labeled[self._own.at(images[even] // 2)]
        result[~even] = super().at(images[~even] // 2)
        return result


class BatchSampler(Sampler[list[int]]):
    """Batches of dataset indices for one rank, for `DataLoader(..., sampler=..., batch_size=None)`.

    All batches are full: the last one begins before `total_images` and may end after it. A batch that crosses the end
    of a permutation continues in the next one. Each iteration starts from `start_image`.

    Args:
        num_items: length of the dataset.
        batch_size: images per batch over all ranks, a multiple of `world_size`; or a function from the first image of a
            batch to its size.
        total_images: images seen at the end of the training.
        seed, attempt: see `ImageOrder`.
        start_image: images seen at the beginning, from 0.
        rank: in [0, world_size).
        world_size: number of processes.

    Attributes:
        order: an `ImageOrder`, which may be replaced before the first batch.

    Raises:
        UserError: a dataset smaller than a batch; a batch size that is not a multiple of `world_size`.
    """

    def __init__(
        self,
        num_items: int,
        batch_size: int | Callable[[int], int],
        total_images: int,
        *,
        seed: int,
        attempt: int = 0,
        start_image: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not (0 <= rank < world_size and start_image >= 0):
            raise ValueError(f"rank={rank} of {world_size}, start_image={start_image}: out of range")
        size_at = batch_size if callable(batch_size) else lambda image: batch_size
        self._runs: list[list[int]] = []  # batches of one size: first image, size, number of batches
        while start_image < total_images:
            size = size_at(start_image)
            if not self._runs or self._runs[-1][1] != size:
                _check_batch(num_items, size, world_size)
                self._runs.append([start_image, size, 0])
            self._runs[-1][2] += 1
            start_image += size
        self.order: ImageOrder = ImageOrder(num_items, seed, attempt)
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[list[int]]:
        for first, size, number in self._runs:
            for start in range(first, first + size * number, size):
                yield self.order.indices(start, size, self.rank, self.world_size).tolist()

    def __len__(self) -> int:
        return sum(number for _, _, number in self._runs)


def _check_batch(num_items: int, batch_size: int, world_size: int) -> None:
    if batch_size < 1 or batch_size % world_size:
        raise UserError(
            f"batch_size={batch_size} on {world_size} process(es)",
            rule="a batch must have the same number of images, at least one, for each process",
            fix=f"Use a multiple of {world_size}",
        )
    if num_items < batch_size:
        raise UserError(
            f"batch_size={batch_size} with a dataset of {num_items} images",
            rule="a dataset must have at least as many images as a batch",
            fix=f"Use batch_size={max(1, num_items // world_size) * world_size} or less, or more images",
        )
