"""What a training is about to do, said before its first step; and a grid of the images that it learns from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import lightning as L
import torch
from torch import nn

from stylegen import randomness
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.data.dataset import ImageDataset
from stylegen.images import make_grid, write_png
from stylegen.training.estimate import seconds_left
from stylegen.training.lightning.callbacks.samples import GRID_CELL_PX
from stylegen.training.lightning.module import StyleGANModule
from stylegen.training.lightning.run_log import RunLog, duration


@dataclass(frozen=True)
class Plan:
    """What the settings say of a run.

    Attributes:
        total_kimg: its length.
        batch_size: images a step, over all devices.
        precision: of the networks while they train.
        metrics: ids; empty for none.
        evaluate_every_kimg: interval of evaluations; 0 for the end only.
        sample_count, columns: of a sample grid.
    """

    total_kimg: float
    batch_size: int
    precision: str
    metrics: Sequence[str]
    evaluate_every_kimg: float
    sample_count: int
    columns: int


class Opening(L.Callback):
    """Says run folder, data, networks, device, evaluation and time, and writes samples/reals.png; on rank 0.

    Args:
        folder, plan: the run's.
        dataset: the training set.
        log: where lines go.
    """

    def __init__(self, folder: RunFolder, dataset: ImageDataset, plan: Plan, log: RunLog) -> None:
        self.folder, self.dataset, self.plan, self.run_log = folder, dataset, plan, log

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, StyleGANModule)
        if not trainer.is_global_zero:
            return
        for name, text in {
            "run": f"{self.folder.root}{_since(pl_module)}",
            "data": self._data(),
            "networks": f"G {_size(pl_module.G)}, D {_size(pl_module.D)} parameters",
            "device": self._device(pl_module.device, trainer.world_size),
            "length": f"{self.plan.total_kimg:g} kimg, {self._batch(pl_module)} images a step",
            "evaluation": self._evaluation(pl_module.images_seen),
        }.items():
            self.run_log.say(f"{name:11s}{text}")
        if not self.folder.reals.exists():
            self._write_reals()
        total = round(self.plan.total_kimg * 1000)
        left = seconds_left(pl_module, total, self.plan.batch_size, trainer.world_size)
        self.run_log.say(f"{'time':11s}about {duration(left)}, estimated from single passes; evaluations come on top")

    def _data(self) -> str:
        spec, mirrored = self.dataset.spec, " and their mirror images" if self.dataset.mirror else ""
        classes = f"{spec.num_classes} classes" if spec.num_classes else "no classes"
        return (
            f"{self.dataset.name}, {self.dataset.num_images:,} images{mirrored} of "
            f"{spec.resolution}x{spec.resolution} px in {spec.channels} channel(s), {classes}"
        )

    def _device(self, device: torch.device, processes: int) -> str:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return f"{name}, {processes} process(es) of {torch.get_num_threads()} CPU thread(s), {self.plan.precision}"

    def _batch(self, module: StyleGANModule) -> int:
        return self.plan.batch_size if module.growth is None else module.growth.batch_at(module.images_seen)

    def _evaluation(self, images_seen: int) -> str:
        if not self.plan.metrics:
            return "none"
        every, kimg = self.plan.evaluate_every_kimg, images_seen / 1000
        due = self.plan.total_kimg if not every else min((math.floor(kimg / every) + 1) * every, self.plan.total_kimg)
        return f"{', '.join(self.plan.metrics)} at {due:g} kimg"

    def _write_reals(self) -> None:
        """Images of the dataset drawn at random, the same for every run on it, in the layout of the samples."""
        words = randomness.random_words(0, "reals.png", torch.arange(self.dataset.num_images), 1)[:, 0]
        images = self.dataset.batch(words.argsort()[: self.plan.sample_count].tolist())[0].cpu()
        scale = max(1, GRID_CELL_PX // images.shape[-1])
        write_png(self.folder.reals, make_grid(images, self.plan.columns), scale)


def _since(module: StyleGANModule) -> str:
    return f", continued from {module.images_seen / 1000:g} kimg" if module.images_seen else ""


def _size(network: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"
