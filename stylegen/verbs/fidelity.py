"""`fidelity.*` of a configuration -> the arguments of the metrics room. Shared by train and evaluate."""

from typing import Any

from omegaconf import DictConfig

from stylegen.metrics.metric import MetricOptions


def metric_options(fidelity: DictConfig) -> MetricOptions:
    """The options of single metrics that stand under fidelity.*."""
    return MetricOptions(**{name: fidelity[name] for name in MetricOptions.__dataclass_fields__})


def extraction_options(fidelity: DictConfig) -> dict[str, Any]:
    """Keyword arguments of `compute_metrics`."""
    return {
        "options": metric_options(fidelity),
        "weights": fidelity.weights,
        "batch_size": fidelity.batch_size,
        "cache": fidelity.cache,
    }


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
