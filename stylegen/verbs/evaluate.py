"""`evaluate`: metrics of snapshots, or of a folder of images, against a dataset; in one process or several."""

from dataclasses import replace
from pathlib import Path

import torch

from stylegen.config.evaluate_settings import EvaluateSettings
from stylegen.cpus import use_default_threads
from stylegen.distributed import check_gpus, choose_device, process_group
from stylegen.launching import launch, launches
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.job import EvaluationJob
from stylegen.metrics.engine.subjects import RealsChoice, find_subjects
from stylegen.metrics.protocol.registry import default_metrics, default_num_samples, with_authenticity
from stylegen.progress import ProgressBars


def run(settings: EvaluateSettings) -> str | None:
    """Measures `snapshot` or `images` against `data.path`.

    Returns:
        On rank 0, one JSON object: the card, or the metrics of several snapshots in the order of `snapshots`.

    Raises:
        UserError: a bad snapshot, dataset, metric or output, before anything is computed.
    """
    settings.check()
    settings = with_defaults(settings)
    if launches(settings.devices):
        check_gpus(choose_device(settings.device), settings.devices)
        _job(settings, torch.device("cpu"))  # errors of the settings are raised before workers start
        text = launch(_rank, settings, processes=settings.devices, hint="the same command restarts the evaluation")
    else:
        text = _rank(settings)
    return text or None


def with_defaults(settings: EvaluateSettings) -> EvaluateSettings:
    """The settings with `metrics` and `num_samples` filled in if they are null."""
    metrics = settings.metrics
    if metrics is None:
        metrics = default_metrics(settings.evaluation.weights, moments_only=settings.statistics is not None)
    if settings.neighbors:
        metrics = with_authenticity(metrics)
    return replace(settings, metrics=metrics, num_samples=settings.num_samples or default_num_samples(metrics))


def _rank(settings: EvaluateSettings) -> str:
    """Evaluate on this rank -> the result, empty except on rank 0."""
    use_default_threads()
    with process_group(choose_device(settings.device)) as device:
        job = _job(settings, device)
        with ProgressBars() as progress:
            return job.run(progress.show)


def _job(settings: EvaluateSettings, device: torch.device) -> EvaluationJob:
    """The checked job: subjects, reals, metrics and outputs."""
    metrics, count = settings.metrics or [], settings.num_samples or 0
    subjects = find_subjects(settings.snapshot, settings.images, count)
    choice = RealsChoice(settings.data.path, settings.data.resolution, settings.data.mirror, settings.statistics)
    reals = choice.open(subjects, metrics, settings.evaluation.labels) if subjects else choice.open_dataset()
    job = EvaluationJob(
        Evaluation(metrics, count, reals, settings.evaluation, device),
        subjects,
        batch_size=settings.batch_size,
        per_class=settings.per_class,
        neighbors=settings.neighbors,
        spectrum=settings.spectrum,
        again=settings.again,
        out=None if settings.out is None else Path(settings.out).expanduser(),
        export=None if settings.export is None else Path(settings.export).expanduser(),
    )
    job.check(stored=settings.images is not None)
    return job
