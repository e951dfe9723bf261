"""Builds the observers of a run from its settings: log, grids, snapshots, checkpoints, evaluation."""

from pathlib import Path
from typing import Any

from stylegen import __version__
from stylegen.config.rules import training_evaluation
from stylegen.config.sections import as_dict
from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.runs.start import Start
from stylegen.training.observers.checkpoints import Checkpoints
from stylegen.training.observers.metrics_log import MetricsLog
from stylegen.training.observers.opening import Opening
from stylegen.training.observers.periodic_evaluation import PeriodicEvaluation
from stylegen.training.observers.progress_bar import ProgressBar
from stylegen.training.observers.run_figures import RunFigures
from stylegen.training.observers.samples import SampleGrids, Snapshots
from stylegen.training.observers.schedule import Intervals, Observers, Outputs
from stylegen.training.observers.stop import StopRequest
from stylegen.training.observers.wandb import WandbRun
from stylegen.training.run_log import RunLog

_READING = ("workers", "cache")  # settings of data.* without effect on the images


def build_observers(settings: TrainSettings, dataset: ImageDataset, start: Start, stop: StopRequest) -> Observers:
    """The observers, which run before the first step and after every step."""
    folder = start.folder
    log, columns = RunLog(folder.log), max(1, round(settings.sample_count**0.5))
    info = _snapshot_info(settings, dataset)
    evaluation = training_evaluation(settings, dataset) if settings.evaluation.metrics else None
    opening = Opening(
        folder=folder,
        dataset=dataset,
        run_log=log,
        total_kimg=settings.total_kimg,
        batch_size=settings.batch_size,
        precision=settings.precision,
        metrics=settings.evaluation.metrics,
        evaluate_every_kimg=settings.evaluation.every_kimg,
        sample_count=settings.sample_count,
        columns=columns,
    )
    outputs = Outputs(
        opening=opening,
        progress=ProgressBar(settings.total_kimg, log),
        wandb=WandbRun(folder.root, as_dict(settings), **settings.logger),
        log=MetricsLog(folder.metrics),
        grids=SampleGrids(folder, settings.sample_count, columns),
        snapshots=Snapshots(folder, info),
        checkpoints=Checkpoints(folder, settings.checkpoints, start.checkpoint if start.chosen else None),
        evaluation=PeriodicEvaluation(folder, evaluation, info, settings.evaluation.max_share),
        figures=RunFigures(folder, log, settings.figures),
    )
    intervals = Intervals(
        total=settings.total_kimg,
        log=settings.log_every_kimg,
        sample=settings.sample_every_kimg,
        snapshot=settings.snapshot_every_kimg,
        checkpoint=settings.checkpoint_every_kimg,
        evaluation=settings.evaluation.every_kimg,
    )
    return Observers(intervals, outputs, stop, dataset.fingerprint)


def _snapshot_info(settings: TrainSettings, dataset: ImageDataset) -> dict[str, Any]:
    """The `info` of a snapshot: version, data, how its images were prepared, classes."""
    data = {name: value for name, value in as_dict(settings)["data"].items() if name not in _READING}
    if data["path"] != OPENMOJI:
        data["path"] = str(Path(data["path"]).expanduser().resolve())  # for readers in other folders
    info = {"stylegen": __version__, "data": data, "dataset": dataset.name, "fingerprint": dataset.fingerprint}
    prepared = dataset.source.metadata.get("prepared")
    info |= {"prepared": prepared} if isinstance(prepared, dict) else {}  # for images to project
    return info | ({"class_names": dataset.class_names} if dataset.spec.num_classes else {})
