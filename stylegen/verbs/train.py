"""Train: the data decide the networks' shape, Lightning runs the loop, the run folder holds what comes out."""

import logging
import shlex
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
import torch

from stylegen import __version__
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.evaluation import describe, extraction_options, protocol_reals
from stylegen.config.rules import check_settings, notices, num_processes
from stylegen.config.sections import as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.config.yaml_file import dump_yaml
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.errors import Stopped, UserError
from stylegen.files import write_text
from stylegen.metrics.engine.generated import score_generator
from stylegen.runs.build import build_dataset, build_module
from stylegen.runs.initial import initialize
from stylegen.runs.places import check_data_apart
from stylegen.runs.recovery import explained_disk_errors, explained_memory_errors, go_back
from stylegen.runs.run_lock import RunLock
from stylegen.runs.start import Start, begins_anew, find_start, forget_start, last_saved, share_start
from stylegen.training.lightning.callbacks.checkpoints import REQUEUE, Checkpoints
from stylegen.training.lightning.callbacks.evaluation_callback import EvaluationCallback, read_card
from stylegen.training.lightning.callbacks.logbook import Logbook
from stylegen.training.lightning.callbacks.opening import Opening, Plan
from stylegen.training.lightning.callbacks.progress_bar import ProgressBar
from stylegen.training.lightning.callbacks.samples import SampleGrids, Snapshots
from stylegen.training.lightning.callbacks.standing import StandingStatistics
from stylegen.training.lightning.callbacks.wandb import WandbRun
from stylegen.training.lightning.checkpoint_io import CheckpointFiles
from stylegen.training.lightning.datamodule import TrainingData
from stylegen.training.lightning.module import StyleGANModule
from stylegen.training.lightning.processes import is_first_process
from stylegen.training.lightning.run_log import RunLog
from stylegen.training.lightning.slurm import requeue_job, slurm_environment
from stylegen.training.lightning.strategy import FlatAllReduce
from stylegen.training.precision import Precision

_READING = ("workers", "cache")  # how the data are read; the rest of `data.*` says what they are


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


def run(config: TrainSettings) -> TrainResult | None:
    """Train, or continue, the run that `config` describes; the result comes from the first process.

    Raises:
        UserError: before anything is written, for any setting, data or folder that cannot be used.
    """
    _quiet_lightning()
    check_data_apart(config)
    saved = last_saved(config)
    dataset = build_dataset(config)
    check_settings(config, dataset)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    module = build_module(config, dataset)
    note = initialize(config, module, dataset.spec) if begins_anew(config) else None
    start = find_start(config, f"{dataset.name}{dataset.spec.resolution}", module, dataset.fingerprint)
    total = round(config.total_kimg * 1000)
    owed = start.owes_score and config.evaluation.metrics
    if start.checkpoint is not None and start.images_seen >= total and not owed:
        return _result(start.folder, start.images_seen, continued=False)
    if not is_first_process():
        _train(config, dataset, module, start)
        return None
    start.folder.prepare(new=False)
    with RunLock(start.folder.root), explained_disk_errors(start.folder):
        if last_saved(config) != saved:
            raise UserError(
                f"output_dir={config.output_dir}",
                rule="another training has saved a checkpoint there since this one chose where to begin",
                fix="Give the same command again",
            )
        _open_folder(config, start, [*notices(config, dataset), *([note] if note else [])])
        if num_processes(config) > 1:
            share_start(start)
        try:
            result = _result(start.folder, _train(config, dataset, module, start))
            RunLog(start.folder.log).say(str(result), terminal=False)
            return result
        finally:
            forget_start()


def _train(config: TrainSettings, dataset: ImageDataset, module: StyleGANModule, start: Start) -> int:
    """Fit; as long as that diverges, go back and try again. Returns the images seen at the end."""
    Precision(config.precision, config.half_resolutions).set_products()
    begun = time.monotonic()
    with explained_memory_errors(config, lambda: module):
        while not _fit(config, dataset, module, start, (time.monotonic() - begun) / 3600):
            start, attempt = go_back(start, module, config.attempts)
            module = build_module(config, dataset)
            if start.checkpoint is None:
                initialize(config, module, dataset.spec)
            module.begin_attempt(attempt)
    return module.images_seen


def _open_folder(config: TrainSettings, start: Start, notes: list[str]) -> None:
    if start.checkpoint is None and start.folder.is_run():
        notes = [*notes, f"{start.folder.root} holds an attempt without a checkpoint; training starts at 0 kimg again"]
    start.folder.prepare(new=start.checkpoint is None)
    write_text(start.folder.config, dump_yaml(as_dict(config)))
    for note in notes:
        RunLog(start.folder.log).say(f"note: {note}")


def _fit(config: TrainSettings, dataset: ImageDataset, module: StyleGANModule, start: Start, hours: float) -> bool:
    """Train from `start` to the end; False where that diverged.

    Args:
        hours: that this command has run for.

    Raises:
        Stopped: by a signal or the time limit.
    """
    slurm = slurm_environment(config.trainer.devices, config.trainer.num_nodes)
    trainer = L.Trainer(
        plugins=[CheckpointFiles(), *([slurm] if slurm else [])],
        accelerator=config.trainer.accelerator,
        devices=config.trainer.devices,
        num_nodes=config.trainer.num_nodes,
        strategy=FlatAllReduce() if num_processes(config) > 1 else "auto",
        max_epochs=1,
        logger=False,
        callbacks=_callbacks(config, dataset, start.folder, hours),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=start.folder.root,
    )
    total_images = round(config.total_kimg * 1000)
    batch = config.batch_size if module.growth is None else module.growth.batch_at
    data = TrainingData(dataset, batch, total_images, config.seed, config.data.workers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # on purpose: data in memory
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # the average
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning's own
        trainer.fit(module, data, ckpt_path=start.checkpoint, weights_only=True)
    (checkpoints,) = (c for c in trainer.callbacks if isinstance(c, Checkpoints))  # type: ignore[attr-defined]
    if module.diverged and checkpoints.stopped_by is None:
        return False
    if module.images_seen < total_images:
        _report_stop(trainer.is_global_zero, module.images_seen, start, checkpoints.stopped_by)
    return True


def _report_stop(speaks: bool, images_seen: int, start: Start, number: int | None) -> NoReturn:
    """A run that ended early by the signal `number` is no result; by its time limit, it says how it goes on."""
    if not speaks:
        raise Stopped("", 0 if number in (None, REQUEUE) else 128 + number)
    stopped = f"stopped at {images_seen / 1000:g} kimg"
    message = f"{stopped}; the same command with output_dir={start.folder.root} continues"
    if number is None:
        raise Stopped(f"max_hours reached: {message}", 0)
    if number == REQUEUE:
        problem = requeue_job()
        if problem is None:
            raise Stopped(f"{stopped}; the job is in the queue again", 0)
        message = f"warning: the job is not in the queue again ({problem}). The checkpoint is safe: {message}"
    raise Stopped(message, 128 + number)


def _callbacks(config: TrainSettings, dataset: ImageDataset, folder: RunFolder, hours: float) -> list[L.Callback]:
    """In the order in which they act on a step; the checkpoint comes last, so that it knows of all the others."""
    kimg = config.total_kimg
    hours_left = None if config.max_hours is None else config.max_hours - hours
    content = {name: value for name, value in config.data.items() if name not in _READING}
    if content["path"] != OPENMOJI:
        content["path"] = str(Path(content["path"]).expanduser().resolve())  # for whoever reads it elsewhere
    info: dict[str, Any] = {
        "stylegen": __version__,
        "data": content,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
    }
    if dataset.spec.num_classes:
        info["class_names"] = dataset.class_names
    log = RunLog(folder.log)
    progress = ProgressBar(kimg, log)
    wandb = WandbRun(folder.root, as_dict(config), **config.logger)
    logbook = Logbook(folder.metrics, config.log_every_kimg, kimg, [progress.hear, wandb.hear])
    columns = max(1, round(config.sample_count**0.5))
    drawing = (config.sample_every_kimg, config.snapshot_every_kimg, config.evaluation.every_kimg)
    plan = Plan(
        *(kimg, config.batch_size, config.precision, list(config.evaluation.metrics)),
        *(config.evaluation.every_kimg, config.sample_count, columns),
    )
    callbacks: list[L.Callback] = [
        Opening(folder, dataset, plan, log),
        StandingStatistics(drawing, kimg),
        wandb,
        progress,
        logbook,
        SampleGrids(folder, config.sample_count, columns, config.sample_every_kimg, kimg, [wandb.hear_grid]),
        Snapshots(folder, info, config.snapshot_every_kimg, kimg),
    ]
    checkpoints = Checkpoints(
        *(folder, config.checkpoint_every_kimg, kimg, config.checkpoints, hours_left),
        requeue=config.trainer.requeue,
    )
    if config.evaluation.metrics:
        score = partial(
            score_generator,
            reals=protocol_reals(config, dataset),
            ids=config.evaluation.metrics,
            num_samples=config.evaluation.num_samples,
            **extraction_options(config.evaluation),
        )
        every, share = config.evaluation.every_kimg, config.evaluation.max_share
        before, after = checkpoints.before_score, checkpoints.after_score
        callbacks.append(EvaluationCallback(folder, score, logbook, every, kimg, before, after, info, share))
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
