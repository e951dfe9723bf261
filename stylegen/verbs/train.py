"""Train: the data decide the networks' shape, Lightning runs the loop, the run folder holds what comes out."""

import os
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment, LightningEnvironment, TorchElasticEnvironment

from stylegen import __version__
from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.rules import check_settings, notices, num_processes
from stylegen.config.sections import as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.config.training_evaluation import training_evaluation
from stylegen.config.yaml_file import dump_yaml
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.device import choose_device
from stylegen.distributed import is_first, process_group
from stylegen.errors import Stopped, UserError
from stylegen.files import write_text
from stylegen.launching import REQUEUE, StopSignals
from stylegen.metrics.protocol.card import describe
from stylegen.runs.build import build_dataset, build_step
from stylegen.runs.initial import initialize
from stylegen.runs.places import check_data_apart
from stylegen.runs.recovery import explained_disk_errors, explained_memory_errors, go_back
from stylegen.runs.run_lock import RunLock
from stylegen.runs.start import Start, begins_anew, find_start, forget_start, last_saved, share_start
from stylegen.training.batches import TrainingData
from stylegen.training.checkpoint_io import read_checkpoint
from stylegen.training.lightning.fit import fit
from stylegen.training.lightning.processes import Launcher, is_first_process
from stylegen.training.lightning.run_log import RunLog
from stylegen.training.lightning.slurm import requeue_job, slurm_environment
from stylegen.training.observers.checkpoints import Checkpoints
from stylegen.training.observers.metrics_log import MetricsLog
from stylegen.training.observers.opening import Opening, Plan
from stylegen.training.observers.periodic_evaluation import PeriodicEvaluation, read_card
from stylegen.training.observers.progress_bar import ProgressBar
from stylegen.training.observers.samples import SampleGrids, Snapshots
from stylegen.training.observers.schedule import Intervals, Observers, Outputs
from stylegen.training.observers.stop import StopRequest
from stylegen.training.observers.wandb import WandbRun
from stylegen.training.precision import Precision
from stylegen.training.step import TrainingStep

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
    check_data_apart(config)
    saved = last_saved(config)
    dataset = build_dataset(config)
    check_settings(config, dataset)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    step = build_step(config, dataset)
    note = initialize(config, step, dataset.spec) if begins_anew(config) else None
    start = find_start(config, f"{dataset.name}{dataset.spec.resolution}", step, dataset.fingerprint)
    total = round(config.total_kimg * 1000)
    owed = start.owes_score and config.evaluation.metrics
    if start.checkpoint is not None and start.images_seen >= total and not owed:
        return _result(start.folder, start.images_seen, continued=False)
    if not is_first_process():
        _in_processes(config, lambda device: _train(config, dataset, step, start, device))
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
            seen = _in_processes(config, lambda device: _train(config, dataset, step, start, device))
            result = _result(start.folder, seen)
            RunLog(start.folder.log).say(str(result), terminal=False)
            return result
        finally:
            forget_start()


def _in_processes(config: TrainSettings, work: Callable[[torch.device], int]) -> int:
    """Run `work` on every rank, each with its device."""
    device = choose_device("auto" if config.trainer.accelerator in ("auto", "gpu") else config.trainer.accelerator)
    devices, nodes = config.trainer.devices, config.trainer.num_nodes
    if num_processes(config) == 1:
        return work(device)
    environment: ClusterEnvironment = slurm_environment(devices, nodes) or LightningEnvironment()
    if TorchElasticEnvironment.detect():
        environment = TorchElasticEnvironment()

    def joined() -> int:
        names = {"RANK": environment.node_rank() * devices + environment.local_rank(), "WORLD_SIZE": devices * nodes}
        names |= {"LOCAL_RANK": environment.local_rank()}
        before = {name: os.environ.get(name) for name in names}
        os.environ.update({name: str(value) for name, value in names.items()})
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
        try:
            with process_group(device) as own:
                return work(own)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]

    return int(Launcher(environment, devices, nodes).launch(joined))


def _train(config: TrainSettings, dataset: ImageDataset, step: TrainingStep, start: Start, device: torch.device) -> int:
    """Fit; as long as that diverges, go back and try again. Returns the images seen at the end."""
    Precision(config.precision, config.half_resolutions).set_products()
    begun = time.monotonic()
    with explained_memory_errors(config, lambda: step):
        while not _fit(config, dataset, step.to(device), start, device, (time.monotonic() - begun) / 3600):
            start, attempt = go_back(start, step, config.attempts)
            step = build_step(config, dataset)
            if start.checkpoint is None:
                initialize(config, step, dataset.spec)
            step.begin_attempt(attempt)
    return step.images_seen


def _open_folder(config: TrainSettings, start: Start, notes: list[str]) -> None:
    if start.checkpoint is None and start.folder.is_run():
        notes = [*notes, f"{start.folder.root} holds an attempt without a checkpoint; training starts at 0 kimg again"]
    start.folder.prepare(new=start.checkpoint is None)
    write_text(start.folder.config, dump_yaml(as_dict(config)))
    for note in notes:
        RunLog(start.folder.log).say(f"note: {note}")


def _fit(
    config: TrainSettings, dataset: ImageDataset, step: TrainingStep, start: Start, device: torch.device, hours: float
) -> bool:
    """Train from `start` to the end; False where that diverged.

    Args:
        hours: that this command has run for.

    Raises:
        Stopped: by a signal or the time limit.
    """
    observers = _observers(config, dataset, start.folder, hours)
    if start.checkpoint is not None:
        content = read_checkpoint(start.checkpoint, step)
        step.load_state_dict(content)
        observers.load_state_dict(content["observers"])
    batch = config.batch_size if step.growth is None else step.growth.batch_at
    total_images = round(config.total_kimg * 1000)
    data = TrainingData(dataset, batch, total_images, config.seed, config.data.workers)
    fit(step, data, observers, device)
    if step.diverged and observers.stop.signal is None:
        return False
    if step.images_seen < total_images:
        _report_stop(is_first(), step.images_seen, start, observers.stop.signal)
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


def _observers(config: TrainSettings, dataset: ImageDataset, folder: RunFolder, hours: float) -> Observers:
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
    columns = max(1, round(config.sample_count**0.5))
    evaluation = training_evaluation(config, dataset) if config.evaluation.metrics else None
    plan = Plan(
        total_kimg=config.total_kimg,
        batch_size=config.batch_size,
        precision=config.precision,
        metrics=list(config.evaluation.metrics),
        evaluate_every_kimg=config.evaluation.every_kimg,
        sample_count=config.sample_count,
        columns=columns,
    )
    outputs = Outputs(
        opening=Opening(folder, dataset, plan, log),
        progress=ProgressBar(config.total_kimg, log),
        wandb=WandbRun(folder.root, as_dict(config), **config.logger),
        log=MetricsLog(folder.metrics),
        grids=SampleGrids(folder, config.sample_count, columns),
        snapshots=Snapshots(folder, info),
        checkpoints=Checkpoints(folder, config.checkpoints),
        evaluation=PeriodicEvaluation(folder, evaluation, info, config.evaluation.max_share),
    )
    intervals = Intervals(
        total=config.total_kimg,
        log=config.log_every_kimg,
        sample=config.sample_every_kimg,
        snapshot=config.snapshot_every_kimg,
        checkpoint=config.checkpoint_every_kimg,
        evaluation=config.evaluation.every_kimg,
    )
    stop = StopRequest(StopSignals(config.trainer.requeue), hours_left)
    return Observers(intervals, outputs, stop, dataset.fingerprint)


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
