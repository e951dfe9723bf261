"""Builds the metric card from the features of fakes and reals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from stylegen.metrics.engine.calibration import REFERENCES
from stylegen.metrics.engine.metric_group import MetricGroup
from stylegen.metrics.engine.real_sets import describe_reals, names_of_classes, suffix_of
from stylegen.metrics.engine.reals import SEED, RealImages
from stylegen.metrics.protocol.card import MetricCard
from stylegen.metrics.protocol.evaluation_settings import MetricOptions
from stylegen.metrics.protocol.registry import METRICS

if TYPE_CHECKING:
    from stylegen.metrics.engine.evaluation import Evaluation


def make_card(
    evaluation: "Evaluation",
    groups: Sequence[MetricGroup],
    *,
    references: Mapping[str, dict[str, float]],
    sampling: Mapping[str, object],
    generated: bool,
) -> MetricCard:
    """The card with the numbers of the fakes and the `references` of the calibration."""
    reals, settings, device = evaluation.reals, evaluation.settings, torch.device(evaluation.device)
    values, attributes = _compute(groups, settings.options)
    names: dict[str, str] = {}
    extractors = [group.extraction.extractor for group in groups]
    for group, extractor in zip(groups, extractors, strict=True):
        for metric in group.metrics:
            names |= metric.names(
                settings.protocol,
                generated=generated,
                conditional=reals.spec.num_classes > 0,
                published_weights=bool(extractor.recipe.get("weights_published", True)),
                reals_suffix=suffix_of(reals),
            )
    better = {key: direction for metric_id in evaluation.metrics for key, direction in METRICS[metric_id].keys.items()}
    return MetricCard(
        metrics={names[key]: values[key] for key in better},
        better={names[key]: direction for key, direction in better.items()},
        references={names[key]: value for key, value in references.items()},
        num_samples=evaluation.num_samples,
        num_reals=reals.num_images,
        dataset={"name": reals.name, "fingerprint": reals.fingerprint, **asdict(reals.spec)},
        attributes=attributes,
        reals=_describe_reals(groups, reals),
        extractors={e.name: {"weights_id": e.weights_id, **e.recipe} for e in extractors},
        covariance=_covariance(evaluation.metrics),
        calibration=dict(REFERENCES) if references else {},
        options=asdict(settings.options),
        protocol=asdict(settings.protocol),
        sampling=dict(sampling),
        seed=SEED,
        device=f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type,
    )


def _compute(
    groups: Sequence[MetricGroup], options: MetricOptions
) -> tuple[dict[str, float], dict[str, dict[str, dict[str, float]]]]:
    """The numbers by key; and by metric and attribute, for those with attributes."""
    values: dict[str, float] = {}
    attributes: dict[str, dict[str, dict[str, float]]] = {}
    for group in groups:
        for metric in group.metrics:
            extractor = group.extraction.extractor
            numbers, terms = metric.compute_with_attributes(group.fakes, group.reals, extractor, options)
            values |= numbers
            if terms:
                classes = names_of_classes(group.source, len(terms))
                attributes[metric.prefix or metric.id] = dict(zip(classes, terms, strict=True))
    return values, attributes


def _covariance(ids: Sequence[str]) -> str:
    """The divisor of the covariances of each Frechet distance."""
    named = []
    for ddof, divisor in ((1, "N - 1"), (0, "N")):
        if found := [i for i in ids if METRICS[i].arguments.get("ddof") == ddof]:
            named.append(f"divided by {divisor}: {', '.join(found)}")
    return "; ".join(named)


def _describe_reals(groups: Sequence[MetricGroup], reals: RealImages) -> str:
    """The reals used, and the metrics that use others."""
    others = [
        f"{', '.join(m.id for m in group.metrics)}: {describe_reals(group.source)}"
        for group in groups
        if group.source is not reals
    ]
    return "; ".join([describe_reals(reals), *others])
