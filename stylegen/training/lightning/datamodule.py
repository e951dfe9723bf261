"""The training data in the order that the clock dictates: a resumed run continues at the next picture."""

from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from stylegen.data.dataset import ImageDataset
from stylegen.data.order import BatchSampler
from stylegen.errors import RunError, UserError
from stylegen.training.lightning.module import StyleGANModule


class TrainingData(L.LightningDataModule):
    """Batches of this rank from `images_seen` of the module to the end of the run, in one pass.

    Args:
        dataset: the pictures.
        batch_size: images a step, over all ranks; or a function that says so for the step that begins at a given image.
        total_images: length of the run.
        seed: of the order.
        workers: processes that decode; 0 reads in the training process, best for sets that fit into memory.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int | Callable[[int], int],
        total_images: int,
        seed: int,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.total_images = dataset, batch_size, total_images
        self.seed, self.workers = seed, workers

    def state_dict(self) -> dict[str, Any]:
        """Which data a checkpoint was trained on."""
        return {"fingerprint": self.dataset.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["fingerprint"] != self.dataset.fingerprint:
            raise other_data(f"dataset {self.dataset.name}")

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        assert isinstance(trainer.lightning_module, StyleGANModule)
        resident = self.dataset.cache == "device"
        if resident:
            self.dataset.to_device(trainer.strategy.root_device)
        sampler = BatchSampler(
            *(len(self.dataset), self.batch_size, self.total_images),
            seed=self.seed,
            attempt=trainer.lightning_module.attempt,
            start_image=trainer.lightning_module.images_seen,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        return _Loader(
            _WholeBatches(self.dataset),
            sampler=sampler if len(sampler) else [[]],  # or Lightning would ask no callback what is still to do
            batch_size=None,  # the sampler's items are whole batches already
            num_workers=0 if resident else self.workers,
            pin_memory=trainer.strategy.root_device.type == "cuda" and not resident,
            persistent_workers=False,
        )


def other_data(problem: str) -> UserError:
    """The error for a run that would continue on other images or labels."""
    return UserError(
        problem,
        rule="its pictures or labels are not those that the run was trained on",
        fix="Restore them, or begin a new run with another output_dir",
    )


class _WholeBatches(Dataset[Any]):
    """Indexed by a list of items: one gather instead of a loop and a collation."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, indices: list[int]) -> Any:
        """A batch; or, in a worker, the error that an image raises: torch would make a RuntimeError of it."""
        try:
            return self.dataset.batch(indices) if indices else (torch.empty(0), torch.empty(0))
        except (UserError, OSError) as error:
            if get_worker_info() is None:
                raise
            return error


class _Loader(DataLoader[Any]):
    """Raises what its workers could not read as the training process would.

    Raises:
        RunError: a worker was killed.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise RunError(
                    f"a process that reads images was killed ({str(error).splitlines()[0].rstrip('. ')}). "
                    f"Use data.workers={max(self.num_workers // 2, 0)}, which takes less memory"
                ) from error
            if isinstance(batch, Exception):
                raise batch
            yield batch
