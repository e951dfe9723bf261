"""Train: the data decide the networks' shape, Lightning runs the loop, the run folder holds what comes out."""

import logging
import shlex
import sys
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from stylegen import __version__
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.errors import Stopped
from stylegen.metrics.generated import score_generator
from stylegen.training.callbacks.checkpoints import Checkpoints
from stylegen.training.callbacks.fidelity import Fidelity, read_card
from stylegen.training.callbacks.logbook import Logbook
from stylegen.training.callbacks.pictures import SampleGrids, Snapshots
from stylegen.training.callbacks.progress import ProgressBar
from stylegen.training.callbacks.wandb import WandbRun
from stylegen.training.datamodule import TrainingData
from stylegen.training.module import StyleGANModule
from stylegen.training.run_folder import RunFolder, write_text
from stylegen.training.strategy import FlatAllReduce
from stylegen.verbs.build import build_dataset, build_module
from stylegen.verbs.checks import check_settings, notices, num_processes
from stylegen.verbs.config import plain
from stylegen.verbs.fidelity import describe, extraction_options
from stylegen.verbs.resume import Start, find_start, forget_start, share_start

_READING = ("workers", "cache", "mirror")  # how the data are read; the rest of `data.*` says what they are


@dataclass(frozen=True)
class TrainResult:
    """Where a run ended, and what to do next."""

    folder: Path
    grid: Path
    snapshot: Path
    score: list[str]
    kimg: float
    continued: bool = True

    def __str__(self) -> str:
        where = shlex.quote(str(self.folder))
        ended = (
            "" if self.continued else f" was finished already at {self.kimg:g} kimg; a larger total_kimg continues it"
        )
        score = "; ".join(self.score) or f"python -m stylegen evaluate snapshot={where} measures it"
        lines = [
            f"run       {self.folder}{'' if self.continued else ended}",
            f"samples   {self.grid}",
            f"snapshot  {self.snapshot}",
            f"score     {score}",
            f"next      python sample.py snapshot={where} mode=mixing layers=coarse",
        ]
        return "\n".join(lines)


def run(config: DictConfig) -> TrainResult | None:
    """Train, or continue, the run that `config` describes; the result comes from the first process.

    Raises:
        UserError: before anything is written, for any setting, data or folder that cannot be used.
    """
    _quiet_lightning()
    dataset = build_dataset(config)
    check_settings(config, dataset)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    module = build_module(config, dataset)
    start = find_start(config, f"{dataset.name}{dataset.spec.resolution}")
    total = round(config.total_kimg * 1000)
    if start.checkpoint is not None and start.images_seen >= total:
        return _result(start.folder, start.images_seen, continued=False)
    if _is_first_process():
        _open_folder(config, dataset, start)
    if num_processes(config) > 1:
        share_start(start)
    try:
        _fit(config, dataset, module, start)
    finally:
        forget_start()
    return _result(start.folder, module.images_seen) if _is_first_process() else None


def _is_first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _open_folder(config: DictConfig, dataset: ImageDataset, start: Start) -> None:
    start.folder.prepare(new=start.checkpoint is None)
    write_text(start.folder.config, OmegaConf.to_yaml(config))
    for notice in notices(config, dataset):
        print(f"note: {notice}", file=sys.stderr)


def _fit(config: DictConfig, dataset: ImageDataset, module: StyleGANModule, start: Start) -> None:
    trainer = L.Trainer(
        accelerator=config.trainer.accelerator,
        devices=config.trainer.devices,
        num_nodes=config.trainer.num_nodes,
        strategy=FlatAllReduce() if num_processes(config) > 1 else "auto",
        max_epochs=1,
        logger=False,
        callbacks=_callbacks(config, dataset, start.folder),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=start.folder.root,
    )
    total_images = round(config.total_kimg * 1000)
    data = TrainingData(dataset, config.batch_size, total_images, config.seed, config.data.workers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # on purpose: data in memory
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # the average
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning's own
        trainer.fit(module, data, ckpt_path=start.checkpoint, weights_only=True)
    _report_stop(trainer, module, start, total_images)


def _report_stop(trainer: L.Trainer, module: StyleGANModule, start: Start, total_images: int) -> None:
    """A run that ended early by a signal is no result; by its time limit, it says how it goes on."""
    if module.images_seen >= total_images:
        return
    message = f"stopped at {module.images_seen / 1000:g} kimg; the same command with "
    message += f"output_dir={start.folder.root} continues"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Checkpoints) and callback.stopped_by is not None:
            raise Stopped(message, 128 + callback.stopped_by)
    raise Stopped(f"max_hours reached: {message}", 0)


def _callbacks(config: DictConfig, dataset: ImageDataset, folder: RunFolder) -> list[L.Callback]:
    """In the order in which they act on a step; the checkpoint comes last, so that it knows of all the others."""
    kimg = config.total_kimg
    content = {name: value for name, value in plain(config)["data"].items() if name not in _READING}
    if content["path"] != OPENMOJI:
        content["path"] = str(Path(content["path"]).expanduser().resolve())  # for whoever reads it elsewhere
    info = {"stylegen": __version__, "data": content, "dataset": dataset.name, "fingerprint": dataset.fingerprint}
    progress = ProgressBar(kimg)
    wandb = WandbRun(folder.root, plain(config), **config.logger)
    logbook = Logbook(folder.metrics, config.log_every_kimg, kimg, [progress.hear, wandb.hear])
    columns = max(1, round(config.sample_count**0.5))
    callbacks: list[L.Callback] = [
        wandb,
        progress,
        logbook,
        SampleGrids(folder, config.sample_count, columns, config.sample_every_kimg, kimg, [wandb.hear_grid]),
        Snapshots(folder, info, config.snapshot_every_kimg, kimg),
    ]
    checkpoints = Checkpoints(folder, config.checkpoint_every_kimg, kimg, config.checkpoints, config.max_hours)
    if config.fidelity.metrics:
        score = partial(
            score_generator,
            reals=dataset,
            ids=config.fidelity.metrics,
            num_samples=config.fidelity.num_samples,
            **extraction_options(config.fidelity),
        )
        # A score takes long and may fail, so what was trained is saved before it.
        callbacks.append(Fidelity(folder, score, logbook, config.fidelity.every_kimg, kimg, before=checkpoints.act))
    return [*callbacks, checkpoints]


def _result(folder: RunFolder, images_seen: int, continued: bool = True) -> TrainResult:
    card = read_card(folder, images_seen)
    return TrainResult(
        folder.root,
        folder.sample(images_seen),
        folder.snapshot(images_seen),
        describe(card) if card else [],
        images_seen / 1000,
        continued,
    )


def _quiet_lightning() -> None:
    """Lightning's notes on hardware and tips; its warnings and errors stay."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
