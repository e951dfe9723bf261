"""Score snapshots, or a set of pictures, against a dataset; by one process or several."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stylegen import distributed
from stylegen.config.evaluation import describe, extraction_options, metric_options, protocol_of, with_defaults
from stylegen.data.dataset import ImageDataset
from stylegen.device import choose_device
from stylegen.distributed import process_group
from stylegen.errors import UserError, unknown_choice
from stylegen.features import DISTANCES, build_extractor
from stylegen.images import write_png
from stylegen.launching import launch, launches
from stylegen.metrics.engine.generated import at_level
from stylegen.metrics.engine.real_sets import PublishedReals
from stylegen.metrics.engine.reals import Extraction, real_statistics
from stylegen.metrics.engine.requirements import check_metrics
from stylegen.metrics.engine.statistics_cache import StatisticsCache, default_folder
from stylegen.metrics.engine.statistics_file import write_statistics
from stylegen.metrics.formulas.neighbours import neighbour_figure
from stylegen.metrics.protocol.card_file import add_card
from stylegen.metrics.protocol.registry import METRICS
from stylegen.metrics.protocol.report import Scored
from stylegen.progress import ProgressBars
from stylegen.verbs.score_report import report, report_folder
from stylegen.verbs.scoring import (
    PublishedOrReals,
    Subject,
    check_match,
    earlier_card,
    find_reals,
    find_snapshots,
    images_subject,
    snapshot_subject,
)

_FIGURE_CELL_PX = 64


@dataclass(frozen=True)
class EvaluateResult:
    """One JSON object on the last line: the card, or for several snapshots their scores in the order of `snapshots`."""

    text: str

    def __str__(self) -> str:
        return self.text


def run(config: Any) -> EvaluateResult | None:
    """Measure `snapshot` or `images` against `data.path`; the result comes from the first process.

    Raises:
        UserError: a bad snapshot, dataset, metric or output, before anything is computed.
    """
    config = with_defaults(config)
    _check_settings(config)
    if launches(config.devices):
        _plan(config, torch.device("cpu"))  # errors of the settings are raised before workers start
        text = launch(_rank, config, processes=config.devices, hint="the same command starts the evaluation again")
    else:
        text = _rank(config)
    return EvaluateResult(text) if text else None


def _rank(config: Any) -> str:
    """The work of one process, which joins the others if there are any."""
    with process_group(choose_device(config.device)) as device:
        return _evaluate(config, device)


def _evaluate(config: Any, device: torch.device) -> str:
    """All of the work of one process; the JSON text on the first."""
    subjects, cards, reals = _plan(config, device)
    with ProgressBars() as progress:
        options = extraction_options(config.evaluation) | (
            {"progress": progress.show} if distributed.is_first() else {}
        )
        if config.export is not None:
            _export(config, reals, device, options)
        reuse = len(subjects) > 1 and not config.again
        scored = [_score(config, s, c, reals, device, options, reuse) for s, c in zip(subjects, cards, strict=True)]
    if not distributed.is_first():
        return ""
    if not scored:
        return json.dumps({"export": config.export, "dataset": reals.name, "fingerprint": reals.fingerprint})
    if len(scored) == 1:
        print("\n".join(describe(dict(scored[0].card))), file=sys.stderr)
        return json.dumps(scored[0].card, allow_nan=False)
    return report(config, scored, subjects)


def _plan(config: Any, device: torch.device) -> tuple[list[Subject], list[Path], PublishedOrReals]:
    """What is scored, where each card goes, and against what; everything is checked."""
    paths = [] if config.snapshot is None else find_snapshots(config.snapshot)
    subjects = [snapshot_subject(config, path, device) for path in paths]
    if config.images is not None:
        subjects = [images_subject(config, device)]
    if not subjects:
        if config.data.path is None:
            raise UserError(
                "data.path is missing", rule="nothing says whose statistics to export", fix="Add data.path="
            )
        return [], _card_paths(config, []), ImageDataset(config.data.path, config.data.resolution)
    _check_levels(subjects)
    reals = find_reals(config, subjects[0])
    for subject in subjects:
        check_match(config, subject, reals)
        check_metrics(
            config.metrics,
            subject.count,
            reals,
            weights=config.evaluation.weights,
            options=metric_options(config.evaluation),
            protocol=protocol_of(config.evaluation),
            walks=config.images is None,
        )
    if paths and config.data.path is None and config.statistics is None and distributed.is_first():
        _note_changes(subjects, reals)
    if config.per_class and not all(subject.spec.num_classes for subject in subjects):
        raise UserError(
            f"per_class={config.per_class}",
            rule="this generator has no classes",
            fix="Leave it out, or train with data.use_labels=true",
        )
    if (config.export is not None or config.neighbours or config.per_class) and isinstance(reals, PublishedReals):
        raise UserError(
            f"statistics={config.statistics}",
            rule="export, neighbours and per_class look at real pictures, and statistics have none",
            fix="Give data.path= in place of statistics=",
        )
    return subjects, _card_paths(config, subjects), reals


def _score(
    config: Any,
    subject: Subject,
    path: Path,
    reals: PublishedOrReals,
    device: torch.device,
    options: dict[str, Any],
    reuse: bool,
) -> Scored:
    """One card, written as soon as it is known, or with `reuse` taken from its file where it is there."""
    earlier = None
    if reuse:
        earlier = distributed.from_first(lambda: earlier_card(subject, path, config, reals))
    card = earlier or subject.score(reals, options).to_dict()
    if distributed.is_first() and earlier is None:
        add_card(path, card)
    if config.neighbours:
        _draw_neighbours(config, subject, path, reals, device)
    return Scored(subject.name, subject.kimg, card)


def _export(config: Any, reals: PublishedOrReals, device: torch.device, options: dict[str, Any]) -> None:
    """`mu` and `sigma` of the reals in the features of the first metric."""
    assert not isinstance(reals, PublishedReals)
    extractor = build_extractor(METRICS[config.metrics[0]].extractor, config.evaluation.weights, device)
    way = Extraction(extractor, config.evaluation.batch_size, options.get("progress"))
    moments = real_statistics(reals, way, ["moments"], 0, _store(config)).feature_set().moments
    if distributed.is_first():
        assert moments is not None
        made = {
            "extractor": extractor.name,
            "weights_id": extractor.weights_id,
            "dataset": reals.name,
            "fingerprint": reals.fingerprint,
            "resolution": reals.spec.resolution,
            "channels": reals.spec.channels,
        }
        write_statistics(Path(config.export).expanduser(), moments, made)


def _draw_neighbours(
    config: Any,
    subject: Subject,
    card: Path,
    reals: PublishedOrReals,
    device: torch.device,
) -> None:
    """`<card>.neighbours.png`, in the features in which the copies are counted."""
    assert not isinstance(reals, PublishedReals)
    near = at_level(reals, subject.resolution)
    name = next(i for i in config.metrics if i.startswith("authenticity_"))
    extractor = build_extractor(METRICS[name].extractor, config.evaluation.weights, device)
    way = Extraction(extractor, config.evaluation.batch_size)
    known = real_statistics(near, way, ["features"], 0, _store(config)).features
    if known is None:  # not the first process
        return
    figure = neighbour_figure(subject.pictures(near, config.neighbours), near, way, known)
    name = card.name.removesuffix(".json").removesuffix(".metrics")
    path = card.with_name(f"{name}.neighbours.png")
    write_png(path, figure, max(1, _FIGURE_CELL_PX // near.spec.resolution))
    print(f"neighbours: {path}", file=sys.stderr)


def _check_settings(config: Any) -> None:
    nothing = config.snapshot is None and config.images is None and config.export is not None
    if (config.snapshot is None) == (config.images is None) and not nothing:
        both = f"snapshot={config.snapshot} images={config.images}"
        raise UserError(
            "snapshot and images are missing" if config.snapshot is None else both,
            rule="one of the two is evaluated",
            fix="Give snapshot=RUN_OR_FILE, or images=FOLDER_OR_ZIP",
        )
    protocol_of(config.evaluation)
    if config.images is not None and config.per_class:
        raise UserError(
            f"per_class={config.per_class} with images=",
            rule="classes are a conditional model's",
            fix="Give snapshot= instead",
        )
    if config.neighbours and not any(i.startswith("authenticity_") for i in config.metrics):
        _count_copies_too(config)
    if config.export is not None and (config.metrics[0] if config.metrics else "") not in METRICS:
        raise unknown_choice("metrics", config.metrics, METRICS)


def _count_copies_too(config: Any) -> None:
    """The figure's number, in the features of the first metric that has it."""
    used = [METRICS[i].extractor for i in config.metrics if i in METRICS and METRICS[i].extractor not in DISTANCES]
    ids = [f"authenticity_{name}" for name in used if f"authenticity_{name}" in METRICS]
    config.metrics.append((ids or ["authenticity_random_vgg16"])[0])


def _card_paths(config: Any, subjects: Sequence[Subject]) -> list[Path]:
    """Beside the snapshots, or in the current folder for pictures; refused now if they cannot be written."""
    paths = [subject.card for subject in subjects]
    if config.out is not None and len(subjects) == 1:
        paths = [Path(config.out).expanduser()]
    elif len(subjects) > 1:
        _check_writable(report_folder(config, subjects) / "scores.csv")
    for path in paths:
        _check_writable(path)
    if config.export is not None:
        _check_writable(Path(config.export).expanduser())
    return paths


def _check_writable(path: Path) -> None:
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"out={path}", rule="it cannot be written", fix="Give out=FILE.json in a folder of yours")


def _check_levels(subjects: Sequence[Subject]) -> None:
    """Refuse, before hours of scoring, what could not stand in one table."""
    first = subjects[0]
    for other in subjects[1:]:
        if other.resolution != first.resolution:
            raise UserError(
                f"{first.name} draws {first.resolution} px and {other.name} {other.resolution} px",
                rule="scores at different resolutions cannot be compared",
                fix="Score the snapshots of one resolution in one command",
            )


def _note_changes(subjects: Sequence[Subject], reals: PublishedOrReals) -> None:
    for subject in subjects:
        part = subject.info.get("data", {}).get("max_images") is not None
        if not part and subject.info.get("fingerprint", reals.fingerprint) != reals.fingerprint:
            print(f"note: {subject.name} was trained on other pictures than {reals.name} has now", file=sys.stderr)


def _store(config: Any) -> StatisticsCache:
    folder = config.evaluation.cache_dir
    return StatisticsCache(
        (Path(folder).expanduser() if folder else default_folder()) if config.evaluation.cache else None
    )
