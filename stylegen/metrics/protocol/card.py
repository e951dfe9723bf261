"""The metric card: a score and every choice that moves it."""

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import torch

import stylegen
from stylegen.metrics.engine.reals import PROTOCOL_VERSION
from stylegen.metrics.protocol.protocol import OFFICIAL


def software_versions() -> dict[str, str]:
    return {
        "stylegen": stylegen.__version__,
        "torch": torch.__version__,
        "torch-fidelity": version("torch-fidelity"),
    }


@dataclass(frozen=True)
class MetricCard:
    """Scores, and what must be equal before they are compared with other scores.

    Attributes:
        metrics: the numbers by key (`fid`, `precision`, ...).
        better: "lower" or "higher" for each of them; spreads (`kid_std`) have None.
        references: for each calibrated metric the same score of `calibration`'s sets.
        num_samples, num_reals: pictures on either side.
        dataset: name, fingerprint, resolution, channels, classes.
        extractors: recipe and `weights_id` of every feature network.
        options: settings inside the metrics.
        calibration: what the references are.
        sampling: how the fakes were made, as the caller says it, and how they became uint8.
        seed: of the calibration's keyed choices.
        protocol: the choices of `stylegen.metrics.protocol.protocol`, which stand in the metrics' names too.
        covariance: what it is divided by, by metric.
        reals: which of them counted.
        device: on which the networks ran. All compute in IEEE float32, never in TF32 or half precision.
        classes: for each class of a conditional model its own scores; empty where they were not asked for.
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
    protocol: dict[str, object] = field(default_factory=lambda: asdict(OFFICIAL))
    covariance: str = "divided by N - 1"
    device: str = "cpu"
    reals: str = "all pictures of the dataset, unmirrored"
    classes: dict[str, dict[str, float]] = field(default_factory=dict)
    protocol_version: int = PROTOCOL_VERSION
    versions: dict[str, str] = field(default_factory=software_versions)

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object, on one line without `indent`."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)
