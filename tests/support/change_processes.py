"""Trainings in float64 that change their number of processes."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegen.config.compose import compose_config
from stylegen.distributed import is_rank0
from stylegen.runs.build import build_dataset, build_step
from stylegen.training.batches import TrainingData
from stylegen.training.checkpoint_io import write_checkpoint
from tests.support.double import EPS, Double, DoubleImages
from tests.support.tiny import TINY_RUN

BATCH, BEGINNING, STEPS = 8, 2, 5
OVERRIDES = [*TINY_RUN, "regularizers=r1_path_length", f"batch_size={BATCH}", EPS, "data.use_labels=true"]
OVERRIDES += ["augment=ada", "augment.preset=bgc", "augment.p=0.5", "augment.speed_kimg=0.2"]


def train(folder: Path, steps: int, load: Path | None = None, save: Path | None = None) -> dict[str, Any]:
    """Train from the start or from `load` up to `steps` -> the weights and the means over all steps."""
    torch.set_num_threads(1)
    config = compose_config("train", OVERRIDES)
    dataset = build_dataset(config)
    step = build_step(config, dataset).to(torch.float64)
    step.random_inputs = Double(step.random_inputs)
    if load is not None:
        step.load_state_dict(torch.load(load, weights_only=True))
    data = TrainingData(DoubleImages(dataset), BATCH, steps * BATCH, seed=0)
    for images, labels in data.batches(step.images_seen, step.attempt, torch.device("cpu")):
        step(images, labels)
    if save is not None:
        content = step.state_dict()
        if is_rank0():
            write_checkpoint(content, save)
    weights: dict[str, Tensor] = step.modules.state_dict()
    return {"state": weights, "record": step.statistics.collect() if steps == STEPS else {}}


def begin_and_continue(folder: Path) -> None:
    """On two processes: train and save two.ckpt, then continue from one.ckpt, written by one process."""
    train(folder, BEGINNING, save=folder / "two.ckpt")
    result = train(folder, STEPS, load=folder / "one.ckpt")
    if is_rank0():
        torch.save(result, folder / "result.pt")
