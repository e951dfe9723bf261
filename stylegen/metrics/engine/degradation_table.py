"""The sensitivity of metrics: each metric for each degradation of a dataset."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.metrics.engine.degradations import DEGRADATIONS, Damage
from stylegen.metrics.engine.evaluation import Evaluation
from stylegen.metrics.engine.metric_group import by_extractor
from stylegen.metrics.engine.reals import Extraction, RealImages
from stylegen.metrics.formulas.feature_set import FeatureSet
from stylegen.metrics.protocol.registry import METRICS

UNDAMAGED = "none"


class Row(NamedTuple):
    """The numbers of one degraded set of images, by key."""

    degradation: str
    severity: str
    values: dict[str, float]


def sensitivity(evaluation: Evaluation) -> list[Row]:
    """The metrics of all `DEGRADATIONS`, each applied to the reals and measured against them.

    Uses a seeded random choice of at most `num_samples` reals. Omits `drop_classes` for a dataset without classes.
    The metrics must compare features of reals and fakes.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for name, group in by_extractor(evaluation.metrics).items():
        extraction = evaluation.extraction(name)
        images = _Images(evaluation.reals, extraction, evaluation.num_samples)
        undamaged = images.features(None, 0, UNDAMAGED)
        for degradation, severity, found in _sets(images, undamaged):
            values = rows.setdefault((degradation, severity), {})
            for metric_id in group:
                sides = _feature_set(found), _feature_set(undamaged)
                values |= METRICS[metric_id].compute(*sides, extraction.extractor, evaluation.settings.options)
    return [Row(*place, values) for place, values in rows.items()]


class _Images:
    """The reals to degrade, and their features by one extractor."""

    def __init__(self, reals: RealImages, extraction: Extraction, count: int) -> None:
        self.reals, self.extraction = reals, extraction
        self.numbers = randomness.permutation(reals.num_images, 0, "metrics/sensitivity")[:count].sort().values
        self.classes = torch.zeros(len(self.numbers), dtype=torch.int64)

    def features(self, damage: Damage | None, severity: float, what: str) -> Tensor:
        """Features of all images, in order."""
        found, done = [], 0
        for numbers in self.numbers.split(self.extraction.batch_size):
            images, labels = self.reals.batch(numbers)
            if labels.shape[1]:
                self.classes[done : done + len(numbers)] = labels.argmax(dim=1).cpu()
            images = images.cpu() if damage is None else damage(images.cpu(), numbers, severity)
            found.append(self.extraction.features(images))
            done += len(numbers)
            self.extraction.report(what, done, len(self.numbers))
        return torch.cat(found)


def _sets(images: _Images, undamaged: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    """Degradation, severity as text, and features of the set."""
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


def _feature_set(features: Tensor) -> FeatureSet:
    found = FeatureSet(features.shape[1], ["moments", "features"])
    found.update(features)
    return found


def to_markdown(rows: Sequence[Row]) -> list[str]:
    """One table per extractor: a row per degraded set, a column per number."""
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
