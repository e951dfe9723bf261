"""Training batches, ordered by images seen: a continued run starts at the next image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from stylegen.data.dataset import ImageDataset
from stylegen.data.order import BatchSampler, HalfLabeledOrder
from stylegen.distributed import rank, world_size
from stylegen.errors import RunError, UserError


@dataclass(frozen=True)
class TrainingData:
    """A dataset and the order of its images over a run.

    Attributes:
        dataset: uint8 images and labels.
        batch_size: images per step, over all ranks; or a function of the images seen before the step.
        total_images: length of the run.
        seed: key of the order of the images.
        workers: processes that decode images; 0 decodes in the training process, best if the dataset fits in memory.
    """

    dataset: ImageDataset
    batch_size: int | Callable[[int], int]
    total_images: int
    seed: int
    workers: int = 0

    def batches(self, images_seen: int, attempt: int, device: torch.device) -> "Batches":
        """This rank's share of every batch from `images_seen` to the end of the run."""
        sampler = BatchSampler(
            len(self.dataset),
            self.batch_size,
            self.total_images,
            seed=self.seed,
            attempt=attempt,
            start_image=images_seen,
            rank=rank(),
            world_size=world_size(),
        )
        labeled = self.dataset.labeled
        if labeled is not None:
            items = labeled.cpu()
            if self.dataset.mirror:
                items = torch.cat([items, items + self.dataset.num_images])
            sampler.order = HalfLabeledOrder(items, len(self.dataset), self.seed, attempt)
        resident = self.dataset.cache == "device"
        if resident:
            self.dataset.to_device(device)
        loader: DataLoader[Any] = DataLoader(
            WholeBatches(self.dataset),
            sampler=sampler,
            batch_size=None,  # the sampler yields whole batches
            num_workers=0 if resident else self.workers,
            pin_memory=device.type == "cuda" and not resident,
        )
        return Batches(loader)


class Batches:
    """Iterates over (images, labels); errors of worker processes are raised with their original type.

    Raises:
        UserError: an image that cannot be decoded.
        RunError: a worker process was killed.
    """

    def __init__(self, loader: "DataLoader[Any]") -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        batches = iter(self.loader)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise RunError(
                    f"a data worker was killed ({str(error).splitlines()[0].rstrip('. ')}). "
                    f"Use data.workers={max(self.loader.num_workers // 2, 0)}, which takes less memory"
                ) from error
            if isinstance(batch, Exception):
                raise batch
            yield batch


class WholeBatches(Dataset[Any]):
    """Indexed by a list of items: one gather instead of a loop and `collate_fn`."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, indices: list[int]) -> Any:
        """A batch; in a worker, an error is returned, because torch would re-raise it as a RuntimeError."""
        try:
            return self.dataset.batch(indices)
        except (UserError, OSError) as error:
            if get_worker_info() is None:
                raise
            return error
