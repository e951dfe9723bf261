"""What the rules of a diagnosis see, and what they return. Plain values; imports no torch."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("failure", "problem", "advice")  # no usable result; a worse one; a risk
LATE_SHARE = 0.25  # the last quarter of the records is the current state: earlier ones show the start of training


@dataclass(frozen=True)
class DataFacts:
    """Measurements of the training images.

    Attributes:
        num_images: without mirror images.
        checked: images compared for repetitions.
        repeated: number of these with the same pixels as an earlier one.
        effective: n^2 / sum c^2 for n images, each of which has c copies with itself: the number of different images
            that would repeat as often in pairs of draws (Kish's effective sample size).
        example: names of two such images; None without.
        class_counts: images of each class; empty without classes.
        class_names: names in the order of the class indices, or None.
    """

    num_images: int
    checked: int = 0
    repeated: int = 0
    effective: float = 0.0
    example: tuple[str, str] | None = None
    class_counts: Sequence[int] = ()
    class_names: Sequence[str] | None = None

    def class_name(self, label: int) -> str:
        """ "3" or "3 (medium)"."""
        return f"{label} ({self.class_names[label]})" if self.class_names else str(label)


@dataclass(frozen=True)
class SampleFacts:
    """Distances among samples of one snapshot, each divided by the same distance among real images.

    Attributes:
        kimg: training length of the snapshot.
        spread: ratio of the mean distances of all pairs.
        nearest: ratio of the median distances from the nearest other image.
        class_spread: class -> `spread` within it, for the first classes with at least two images.
    """

    kimg: float
    spread: float
    nearest: float
    class_spread: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about a run.

    Attributes:
        records: lines of metrics.jsonl, in the order of kimg.
        settings: content of config.yaml, by dotted key.
        recoveries: restarts after divergence.
        data: None if it could not be measured.
        samples: samples of up to three snapshots, oldest first.
    """

    records: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]
    recoveries: int = 0
    data: DataFacts | None = None
    samples: Sequence[SampleFacts] = ()

    @property
    def kimg(self) -> float:
        return float(self.records[-1]["kimg"]) if self.records else 0.0

    def series(self, name: str) -> list[tuple[float, float]]:
        """(kimg, value) of the records that have a finite value of this name."""
        return [(float(r["kimg"]), float(r[name])) for r in self.records if r.get(name) is not None]

    def late(self, name: str) -> float | None:
        """The median of the last quarter of a series; None without a value."""
        values = [value for _, value in self.series(name)]
        return statistics.median(values[-max(int(len(values) * LATE_SHARE), 1) :]) if values else None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        rule: its name.
        severity: one of `SEVERITIES`.
        text: what was found, with the measured values; one or two sentences.
        limit: the rule, with its threshold.
        fix: an imperative with the exact setting.
        values: the measured values.
    """

    rule: str
    severity: str
    text: str
    limit: str
    fix: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}\n  rule  {self.rule}: {self.limit}\n  fix   {self.fix}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
