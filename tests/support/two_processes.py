"""Tiny trainings in float64 on two processes, one after another, for starting processes takes longer than training.

    python -m tests.support.two_processes FOLDER

The results of `CASES` are FOLDER/<case>.pt, the gradients of all losses on rank r FOLDER/losses<r>.pt; then come the
trainings of `change_processes`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.distributed as dist

from stylegen.config.compose import compose_config
from stylegen.runs.build import build_dataset, build_module
from stylegen.training.lightning.datamodule import TrainingData
from stylegen.training.lightning.strategy import FlatAllReduce
from tests.support import change_processes
from tests.support.double import EPS, Double, DoubleImages
from tests.support.loss_gradients import VARIANTS, gradients
from tests.support.tiny import TINY_RUN

STEPS, BATCH = 5, 16
STYLEGAN1 = ("generator=stylegan1", "discriminator=stylegan1")
GROWING = ("growth=stylegan1", "growth.stable_kimg=0.03", "growth.fade_kimg=0.03", "growth.batch_sizes=[16,16]")
# Images that a process works on at a time, 0 for all of its own, and settings.
CASES: dict[str, tuple[int, Sequence[str]]] = {
    "whole": (0, ()),
    "micro_batches": (4, ()),
    "batch_norm": (0, (*STYLEGAN1, "generator.conditioning=batch_film")),
    "growth": (0, (*STYLEGAN1, *GROWING)),
}


def train(out: Path, devices: int, batch_per_device: int = 0, more: Sequence[str] = ()) -> dict[str, Any]:
    """Train from the beginning -> the module's state and statistics, on the first process also in `out`.

    A `batch_per_device` of 0 is the whole share.
    """
    torch.set_num_threads(1)
    augment = ["augment=ada", "augment.preset=bgcfnc", "augment.p=0.5", "augment.speed_kimg=0.2"]
    overrides = ["regularizers=r1_path_length", f"batch_size={BATCH}", "data.use_labels=true", *augment]
    overrides += [f"batch_per_device={batch_per_device or 'null'}", EPS]
    config = compose_config("train", [*TINY_RUN, *overrides, *more])
    dataset = build_dataset(config)
    module = build_module(config, dataset).double()
    for name, parameter in [*module.G.named_parameters(), *module.G_ema.named_parameters()]:
        if name.endswith("strength"):  # from 0, an instance norm would take out all that precedes it
            parameter.data.fill_(1.0)
    module.draws = Double(module.draws)
    batch = BATCH if module.growth is None else module.growth.batch_at
    data = TrainingData(DoubleImages(dataset), batch, STEPS * BATCH, seed=0)
    trainer = L.Trainer(
        accelerator="cpu", devices=devices, strategy=FlatAllReduce() if devices > 1 else "auto", max_epochs=1,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=out.parent,
    )  # fmt: skip
    trainer.fit(module, data)
    result = {"state": module.state_dict(), "statistics": module.statistics.collect()}
    if trainer.is_global_zero:
        torch.save(result, out)
    return result


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for case, (batch_per_device, settings) in CASES.items():
        train(folder / f"{case}.pt", 2, batch_per_device, settings)
    rank = dist.get_rank()  # of the group that the trainings have formed
    of_losses = {name: gradients(loss, rank, dist.get_world_size(), micro_batch=2) for name, loss in VARIANTS.items()}
    torch.save(of_losses, folder / f"losses{rank}.pt")
    change_processes.begin_and_continue(folder)
