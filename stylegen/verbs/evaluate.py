"""Score a snapshot, or a set of pictures, against a dataset."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress

from stylegen.checkpoints.snapshot import Snapshot, find_snapshot, load_snapshot
from stylegen.data.dataset import ImageDataset
from stylegen.errors import UserError
from stylegen.metrics.card import MetricCard
from stylegen.metrics.evaluate import check_metrics, compute_metrics
from stylegen.metrics.generated import score_generator
from stylegen.spec import ImageSpec
from stylegen.verbs.device import choose_device
from stylegen.verbs.fidelity import describe, extraction_options, metric_options


@dataclass(frozen=True)
class EvaluateResult:
    """The card; printed as one JSON object on the last line."""

    card: MetricCard
    path: Path

    def __str__(self) -> str:
        return self.card.to_json()


def run(config: DictConfig) -> EvaluateResult:
    """Measure `snapshot` or `images` against `data.path`.

    Raises:
        UserError: a bad snapshot, dataset, metric or output, before anything is computed.
    """
    if (config.snapshot is None) == (config.images is None):
        raise UserError(
            f"snapshot={config.snapshot} images={config.images}",
            rule="one of the two is scored",
            fix="Give snapshot=RUN_OR_FILE, or images=FOLDER_OR_ZIP",
        )
    device = choose_device(config.device)
    snapshot = load_snapshot(config.snapshot) if config.snapshot is not None else None
    reals = _reals(config, snapshot)
    _check_match(config, snapshot, reals)
    options = metric_options(config.fidelity)
    images = None if config.images is None else ImageDataset(config.images)
    num_samples = config.num_samples if images is None else min(config.num_samples, images.num_images)
    check_metrics(config.metrics, num_samples, reals, weights=config.fidelity.weights, options=options)
    path = _card_path(config)
    with _ProgressBars() as progress:
        shared = extraction_options(config.fidelity) | {"progress": progress.show}
        if snapshot is not None:
            generator = snapshot.generator.to(device)
            card = score_generator(
                generator, reals, config.metrics, num_samples, sampler_batch=config.batch_size, **shared
            )
        else:
            assert images is not None
            card = _score_images(config, images, num_samples, reals, device, shared)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(card.to_json(indent=2) + "\n")
    print("\n".join(describe(card.to_dict())), file=sys.stderr)
    return EvaluateResult(card, path)


def _check_match(config: DictConfig, snapshot: Snapshot | None, reals: ImageDataset) -> None:
    """What can be compared, and in batches that exist."""
    for key, value in (("batch_size", config.batch_size), ("fidelity.batch_size", config.fidelity.batch_size)):
        if value < 1:
            raise UserError(f"{key}={value}", rule="a batch holds at least one picture", fix=f"Use {key}=64")
    if snapshot is None:
        return
    G = snapshot.generator
    drawn, spec = ImageSpec(G.resolution, G.channels, G.num_classes), reals.spec
    if drawn != spec:
        raise UserError(
            f"snapshot={config.snapshot} draws {drawn}",
            rule=f"{reals.name} has {spec}, and pictures or labels that differ cannot be compared",
            fix="Name a dataset like the one that it was trained on, or leave data.path out",
        )
    if config.data.path is None and snapshot.info.get("fingerprint", reals.fingerprint) != reals.fingerprint:
        print(f"note: {reals.name} has changed since the snapshot was trained on it", file=sys.stderr)


def _score_images(
    config: DictConfig,
    images: ImageDataset,
    num_samples: int,
    reals: ImageDataset,
    device: torch.device,
    shared: dict[str, Any],
) -> MetricCard:
    starts = range(0, num_samples, config.batch_size)
    batches = (images.batch(range(s, min(s + config.batch_size, num_samples)))[0] for s in starts)
    return compute_metrics(
        config.metrics,
        batches,
        num_samples,
        reals,
        device=device,
        sampling={"images": images.name, "fingerprint": images.fingerprint, "quantisation": "as stored"},
        **shared,
    )


def _reals(config: DictConfig, snapshot: Snapshot | None) -> ImageDataset:
    """`data.path`, else what the snapshot was trained on."""
    if config.data.path is not None:
        resolution = config.data.resolution
        if resolution is None and snapshot is not None and config.data.path == "openmoji":
            resolution = snapshot.generator.resolution
        conditional = snapshot is not None and snapshot.generator.num_classes > 0
        return ImageDataset(config.data.path, resolution, use_labels=conditional)
    if snapshot is None or "data" not in snapshot.info:
        raise UserError(
            "data.path is missing",
            rule="nothing says which real pictures to compare with",
            fix="Add data.path=FOLDER_OR_ZIP, or data.path=openmoji",
        )
    return ImageDataset(**snapshot.info["data"])


def _card_path(config: DictConfig) -> Path:
    """Beside the snapshot, or in the current folder for pictures; refused now if it cannot be written."""
    if config.out is not None:
        path = Path(config.out).expanduser()
    elif config.snapshot is not None:
        path = find_snapshot(config.snapshot).with_suffix(".metrics.json")
    else:
        path = Path(f"{Path(config.images).stem}.metrics.json")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"out={path}", rule="it cannot be written", fix="Give out=FILE.json in a folder of yours")
    return path


class _ProgressBars:
    """One bar on standard error for each thing that is being done."""

    def __init__(self) -> None:
        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "_ProgressBars":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done)
