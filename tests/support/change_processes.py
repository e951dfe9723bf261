"""Trainings in float64 that change their number of processes."""

import json
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegen.config.compose import compose_config
from stylegen.runs.build import build_dataset, build_module
from stylegen.training.lightning.callbacks.logbook import Logbook
from stylegen.training.lightning.checkpoint_io import CheckpointFiles
from stylegen.training.lightning.datamodule import TrainingData
from stylegen.training.lightning.strategy import FlatAllReduce
from tests.support.double import EPS, Double, DoubleImages
from tests.support.tiny import TINY_RUN

BATCH, BEGINNING, STEPS = 8, 2, 5
OVERRIDES = [*TINY_RUN, "regularizers=r1_path_length", f"batch_size={BATCH}", EPS, "data.use_labels=true"]
OVERRIDES += ["augment=ada", "augment.preset=bgc", "augment.p=0.5", "augment.speed_kimg=0.2"]


def train(folder: Path, devices: int, steps: int, load: Path | None = None, save: Path | None = None) -> dict[str, Any]:
    """Train from the beginning or from `load` up to `steps` -> the module's state and the record of all steps."""
    torch.set_num_threads(1)
    config = compose_config("train", OVERRIDES)
    dataset = build_dataset(config)
    module = build_module(config, dataset).double()
    module.draws = Double(module.draws)
    trainer = L.Trainer(
        accelerator="cpu", devices=devices, strategy=FlatAllReduce() if devices > 1 else "auto", max_epochs=1,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=folder, plugins=[CheckpointFiles()],
        callbacks=[Logbook(folder / f"{devices}-{steps}.jsonl", 0, STEPS * BATCH / 1000)],
    )  # fmt: skip
    data = TrainingData(DoubleImages(dataset), BATCH, steps * BATCH, seed=0)
    trainer.fit(module, data, ckpt_path=load, weights_only=True)
    if save is not None:
        trainer.save_checkpoint(save)
    record = {}
    if steps == STEPS and trainer.is_global_zero:
        record = json.loads((folder / f"{devices}-{steps}.jsonl").read_text())
        record = {k: v for k, v in record.items() if not k.startswith(("time/", "memory/"))}
    state: dict[str, Tensor] = module.state_dict()
    return {"state": state, "record": record}


def begin_and_continue(folder: Path) -> None:
    """On two processes: train the beginning and save two.ckpt, then go on from one.ckpt, which one process has made."""
    train(folder, 2, BEGINNING, save=folder / "two.ckpt")
    result = train(folder, 2, STEPS, load=folder / "one.ckpt")
    if result["record"]:
        torch.save(result, folder / "result.pt")
