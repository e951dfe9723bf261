"""The metric card: the numbers of an evaluation and every choice that changes them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import torch

import stylegen
from stylegen.metrics.protocol.evaluation_settings import PROTOCOL_VERSION, Protocol


def software_versions() -> dict[str, str]:
    return {
        "stylegen": stylegen.__version__,
        "torch": torch.__version__,
        "torch-fidelity": version("torch-fidelity"),
    }


@dataclass(frozen=True)
class MetricCard:
    """The numbers of an evaluation, and the choices that must be equal for two cards to be comparable.

    Attributes:
        metrics: the numbers by key (`fid`, `precision`, ...).
        better: "lower" or "higher" for each number; None for deviations (`kid_std`).
        references: values of each calibrated metric for the sets in `calibration`.
        num_samples, num_reals: images on each side.
        dataset: name, fingerprint, resolution, channels, classes.
        extractors: recipe and `weights_id` of every feature network.
        options: see `MetricOptions`.
        calibration: description of the references.
        sampling: generation of the fakes (from the caller) and conversion to uint8.
        seed: key of the calibration's random choices.
        protocol: see `Protocol`; departures also change the metrics' names.
        covariance: its divisor, by metric.
        reals: description of the reals used.
        device: device of the networks, which compute in IEEE float32, never in TF32 or half precision.
        classes: numbers of each class of a conditional model, if requested.
        attributes: numbers of each attribute by linear separability; see `Separability`.
    """

    metrics: dict[str, float]
    better: dict[str, str | None]
    references: dict[str, dict[str, float]]
    num_samples: int
    num_reals: int
    dataset: dict[str, str | int]
    extractors: dict[str, dict[str, object]]
    options: dict[str, int]
    calibration: dict[str, str]
    sampling: dict[str, object]
    seed: int
    protocol: dict[str, object] = field(default_factory=lambda: asdict(Protocol()))
    covariance: str = "divided by N - 1"
    device: str = "cpu"
    reals: str = "all images of the dataset, unmirrored"
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    protocol_version: int = PROTOCOL_VERSION
    versions: dict[str, str] = field(default_factory=software_versions)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object, on one line without `indent`."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)


def describe(card: Mapping[str, Any]) -> list[str]:
    """A card as lines of text: each number with better direction and references, and the accuracy of classifiers."""
    lines = []
    for name, value in card["metrics"].items():
        references = card["references"].get(name) or {}
        others = ", ".join(f"{what.replace('_', ' ')} {number:.4g}" for what, number in references.items())
        better = card["better"].get(name)
        direction = f" ({better} is better)" if better else ""
        lines.append(f"{name} {value:.4g}{direction}" + (f"; {others}" if others else ""))
    for name, attributes in card.get("attributes", {}).items():
        accuracy = [numbers["held_out_accuracy"] for numbers in attributes.values()]
        majority = [max(n["share_of_reals"], 1 - n["share_of_reals"]) for n in attributes.values()]
        mean, baseline = (sum(values) / len(values) for values in (accuracy, majority))
        what = f"held-out accuracy of the classifier {mean:.3f} (of a constant label {baseline:.3f})"
        lines.append(f"{name}: {len(accuracy)} attributes, {what}")
    return lines
