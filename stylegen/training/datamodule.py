"""The training data in the order that the clock dictates: a resumed run continues at the next picture."""

from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset

from stylegen.data.dataset import ImageDataset
from stylegen.data.sampler import BatchSampler
from stylegen.training.module import StyleGANModule


class TrainingData(L.LightningDataModule):
    """Batches of this rank from `images_seen` of the module to the end of the run, in one pass.

    Args:
        dataset: the pictures.
        batch_size: images a step, over all ranks.
        total_images: length of the run.
        seed: of the order.
        workers: processes that decode; 0 reads in the training process, best for sets that fit into memory.
    """

    def __init__(self, dataset: ImageDataset, batch_size: int, total_images: int, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.total_images = dataset, batch_size, total_images
        self.seed, self.workers = seed, workers

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
            start_image=trainer.lightning_module.images_seen,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        return DataLoader(
            _WholeBatches(self.dataset),
            sampler=sampler,
            batch_size=None,  # the sampler's items are whole batches already
            num_workers=0 if resident else self.workers,
            pin_memory=torch.cuda.is_available() and not resident,
            persistent_workers=False,
        )


class _WholeBatches(Dataset[Any]):
    """Indexed by a list of items: one gather instead of a loop and a collation."""

    def __init__(self, dataset: ImageDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, indices: list[int]) -> Any:
        return self.dataset.batch(indices)
