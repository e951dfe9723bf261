"""The first lines of a training's log, and a grid of its training images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from stylegen import randomness
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.data.dataset import ImageDataset
from stylegen.distributed import is_rank0, world_size
from stylegen.images import make_grid, write_png
from stylegen.training.estimate import seconds_left
from stylegen.training.observers.samples import GRID_CELL_PX
from stylegen.training.run_log import RunLog, duration
from stylegen.training.step import TrainingStep


@dataclass(frozen=True)
class Opening:
    """Prints run folder, data, networks, device, evaluation and time, and writes samples/reals.png.

    Attributes:
        folder: the run folder; the grid of reals goes to samples/.
        dataset: the training set.
        run_log: writes the lines to log.txt and the terminal.
        total_kimg: length of the run.
        batch_size: images per step, over all devices.
        precision: "fp32", "bf16" or "fp16", as in the settings.
        metrics: ids; empty for none.
        evaluate_every_kimg: interval of evaluations; 0 for the end only.
        sample_count, columns: images and columns of a sample grid.
    """

    folder: RunFolder
    dataset: ImageDataset
    run_log: RunLog
    total_kimg: float
    batch_size: int
    precision: str
    metrics: Sequence[str]
    evaluate_every_kimg: float
    sample_count: int
    columns: int

    def announce(self, step: TrainingStep) -> None:
        """Print the lines and write the grid, on rank 0."""
        if not is_rank0():
            return
        for name, text in {
            "run": f"{self.folder.root}{_since(step)}",
            "data": self._data(),
            "networks": f"G {_size(step.G)}, D {_size(step.D)} parameters",
            "device": self._device(step.device, world_size()),
            "length": f"{self.total_kimg:g} kimg, {self._batch(step)} images per step",
            "evaluation": self._evaluation(step.images_seen),
        }.items():
            self.run_log.write(f"{name:11s}{text}")
        if not self.folder.reals.exists():
            self._write_reals()
        total = round(self.total_kimg * 1000)
        left = seconds_left(step, total, self.batch_size, world_size())
        self.run_log.write(f"{'time':11s}about {duration(left)}, estimated from single passes, without evaluations")

    def _data(self) -> str:
        spec, mirrored = self.dataset.spec, " and their mirror images" if self.dataset.mirror else ""
        classes = f"{spec.num_classes} classes" if spec.num_classes else "no classes"
        return (
            f"{self.dataset.name}, {self.dataset.num_images:,} image{'s' * (self.dataset.num_images > 1)}{mirrored} of "
            f"{spec.resolution}x{spec.resolution} px, {spec.channels} channel{'s' * (spec.channels > 1)}, {classes}"
        )

    def _device(self, device: torch.device, processes: int) -> str:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        threads = torch.get_num_threads()
        parts = [
            f"{processes} process{'es' * (processes > 1)}",
            f"{threads} CPU thread{'s' * (threads > 1)}{' each' * (processes > 1)}",
        ]
        return ", ".join([name, *parts, self.precision])

    def _batch(self, step: TrainingStep) -> int:
        return self.batch_size if step.growth is None else step.growth.batch_at(step.images_seen)

    def _evaluation(self, images_seen: int) -> str:
        if not self.metrics:
            return "none"
        every, kimg = self.evaluate_every_kimg, images_seen / 1000
        due = self.total_kimg if not every else min((math.floor(kimg / every) + 1) * every, self.total_kimg)
        return f"{', '.join(self.metrics)} at {due:g} kimg"

    def _write_reals(self) -> None:
        """A random choice of training images, equal for all runs on this dataset, in the layout of the samples."""
        words = randomness.random_words(0, "reals.png", torch.arange(self.dataset.num_images), 1)[:, 0]
        images = self.dataset.batch(words.argsort()[: self.sample_count].tolist())[0].cpu()
        scale = max(1, GRID_CELL_PX // images.shape[-1])
        write_png(self.folder.reals, make_grid(images, self.columns), scale)


def _since(step: TrainingStep) -> str:
    return f", continued from {step.images_seen / 1000:g} kimg" if step.images_seen else ""


def _size(network: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"
