"""Trains one experiment of a study, unless it is already trained, and reads the results from its run folder."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.rules import device_type, training_evaluation
from stylegen.config.train_settings import TrainSettings
from stylegen.errors import Stopped
from stylegen.metrics.protocol.card_file import add_card
from stylegen.metrics.protocol.registry import METRICS
from stylegen.runs.build import build_dataset
from stylegen.studies.plan import Experiment
from stylegen.training.observers.periodic_evaluation import read_card


@dataclass(frozen=True)
class Trial:
    """The result of one experiment.

    Attributes:
        kimg: length of its training.
        card: see `metrics.MetricCard`, as plain JSON values.
        parameters: number of the generator's parameters.
        sec_per_kimg: median during training; None if it was not measured.
        cpu_sec_per_kimg: the same of the processor time.
        curves: value by kimg of each metric that was evaluated during training.
    """

    variant: str
    seed: int
    kimg: float
    card: Mapping[str, Any]
    parameters: int
    sec_per_kimg: float | None
    cpu_sec_per_kimg: float | None = None
    curves: Mapping[str, Mapping[float, float]] = field(default_factory=dict)


def run_trial(experiment: Experiment, train: Callable[[TrainSettings], Any]) -> Trial:
    """Train or continue an unfinished run, and evaluate it unless it has a card with these settings.

    Args:
        train: runs the training; its result has `folder`, `snapshot` and `kimg`.

    Raises:
        Stopped: by a signal; the same command continues.
    """
    try:
        result = train(experiment.settings)
    except Stopped as stopped:
        where = f"the study stopped in {experiment.folder}; the same command continues it"
        raise Stopped(where, stopped.status) from stopped
    folder = RunFolder(result.folder)
    images_seen = round(result.kimg * 1000)
    card = read_card(folder, images_seen)
    if card is None or not _is_complete(card, experiment.settings):
        card = _evaluate(experiment.settings, folder, images_seen)
    return Trial(
        experiment.variant,
        experiment.seed,
        result.kimg,
        card,
        sum(parameter.numel() for parameter in load_snapshot(result.snapshot).generator.parameters()),
        median(recorded(folder.metrics, "time/sec_per_kimg")),
        median(recorded(folder.metrics, "time/cpu_sec_per_kimg")),
        curves(folder.metrics),
    )


def _is_complete(card: Mapping[str, Any], settings: TrainSettings) -> bool:
    keys = [key for name in settings.evaluation.metrics for key in METRICS[name].keys]
    return card["num_samples"] == settings.evaluation.num_samples and all(key in card["metrics"] for key in keys)


def _evaluate(settings: TrainSettings, folder: RunFolder, images_seen: int) -> dict[str, Any]:
    """Evaluate a run that has no card with these settings, and return the card."""
    generator = load_snapshot(folder.snapshot(images_seen)).on(device_type(settings.trainer.accelerator))
    card = training_evaluation(settings, build_dataset(settings)).measure_generator(generator)
    add_card(folder.metric_card(images_seen), card.to_dict())
    return card.to_dict()


def recorded(metrics: Path, key: str) -> list[float]:
    """The finite values of `key` in a run's metrics.jsonl."""
    found = [record.get(key) for record in _records(metrics)]
    return [value for value in found if value is not None]


def curves(metrics: Path) -> dict[str, dict[float, float]]:
    """`metric/<id>` of the records that have it: id -> kimg -> value."""
    found: dict[str, dict[float, float]] = {}
    for record in _records(metrics):
        for name, value in record.items():
            if name.startswith("metric/") and value is not None:
                found.setdefault(name.removeprefix("metric/"), {})[record["kimg"]] = value
    return found


def _records(metrics: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []


def median(values: Sequence[float]) -> float | None:
    """The median; None for no values."""
    return statistics.median(values) if values else None
