"""Every metric on every degradation of a dataset: the table that says what a metric can be trusted with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.features import build_extractor
from stylegen.metrics.engine.calibration import MAX_PICTURES
from stylegen.metrics.engine.degradations import DEGRADATIONS, Damage
from stylegen.metrics.engine.reals import Extraction, Progress, RealImages
from stylegen.metrics.engine.requirements import by_extractor
from stylegen.metrics.protocol.metric import DEFAULT_OPTIONS, FeatureSet, MetricOptions
from stylegen.metrics.protocol.registry import METRICS

UNDAMAGED = "none"


@dataclass(frozen=True)
class Row:
    """One degraded set.

    Args:
        degradation, severity: as the table names them.
        values: number by key.
    """

    degradation: str
    severity: str
    values: dict[str, float]


def sensitivity(
    ids: Sequence[str],
    reals: RealImages,
    *,
    options: MetricOptions = DEFAULT_OPTIONS,
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    num_images: int = MAX_PICTURES,
    progress: Progress | None = None,
) -> list[Row]:
    """The values of these metrics for all of `DEGRADATIONS`, each applied to all reals and measured against them.

    Of more than `num_images` reals a keyed choice is used. `drop_classes` is left out of a dataset without classes.

    Args:
        ids: keys of `METRICS` that compare features of reals and fakes.
        batch_size: images at a time in the extractor.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for name, group in by_extractor(ids).items():
        way = Extraction(build_extractor(name, weights, device), batch_size, progress)
        images = _Images(reals, way, num_images)
        undamaged = images.features(None, 0, UNDAMAGED)
        for degradation, severity, found in _sets(images, undamaged):
            values = rows.setdefault((degradation, severity), {})
            for metric_id in group:
                fakes, others = _described(found), _described(undamaged)
                values |= METRICS[metric_id].compute(fakes, others, way.extractor, options)
    return [Row(*place, values) for place, values in rows.items()]


class _Images:
    """The reals that are degraded, as one extractor sees them."""

    def __init__(self, reals: RealImages, way: Extraction, count: int) -> None:
        self.reals, self.way = reals, way
        self.numbers = randomness.permutation(reals.num_images, 0, "metrics/sensitivity")[:count].sort().values
        self.classes = torch.zeros(len(self.numbers), dtype=torch.int64)

    def features(self, damage: Damage | None, severity: float, what: str) -> Tensor:
        """Of all images, in their order."""
        found, done = [], 0
        for numbers in self.numbers.split(self.way.batch_size):
            images, labels = self.reals.batch(numbers)
            if labels.shape[1]:
                self.classes[done : done + len(numbers)] = labels.argmax(dim=1).cpu()
            images = images.cpu() if damage is None else damage(images.cpu(), numbers, severity)
            found.append(self.way.features(images))
            done += len(numbers)
            self.way.report(what, done, len(self.numbers))
        return torch.cat(found)


def _sets(images: _Images, undamaged: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    """Degradation, severity in words, and features of the set."""
    yield UNDAMAGED, "", undamaged
    for degradation in DEGRADATIONS:
        if degradation.needs_classes and not images.reals.spec.num_classes:
            continue
        for severity in degradation.severities:
            if degradation.choose is not None:
                found = undamaged[degradation.choose(images.classes, severity)]
            else:
                found = images.features(degradation.damage, severity, degradation.name)
            yield degradation.name, degradation.label.format(severity), found


def _described(features: Tensor) -> FeatureSet:
    described = FeatureSet(features.shape[1], ["moments", "features"])
    described.update(features)
    return described


def to_markdown(rows: Sequence[Row]) -> list[str]:
    """One table for each extractor: a row for each degraded set, a column for each number."""
    lines: list[str] = []
    for name, ids in by_extractor([i for i in METRICS if set(METRICS[i].keys) <= set(rows[0].values)]).items():
        keys = [key for i in ids for key in METRICS[i].keys if not key.endswith("_std")]
        heads = [key.replace(f"_{name}", "").replace("prdc_", "") for key in keys]
        lines += [f"`{name}`:", "", f"| degradation | severity | {' | '.join(heads)} |"]
        lines += ["|---|---|" + "---:|" * len(keys)]
        for row in rows:
            lines.append(f"| {row.degradation} | {row.severity} | {' | '.join(f'{row.values[k]:.3g}' for k in keys)} |")
        lines.append("")
    return lines
