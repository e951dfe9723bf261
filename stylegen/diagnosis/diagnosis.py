"""Diagnoses a run: gathers evidence, applies all rules, and reports the findings in order of severity."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.train_settings import TrainSettings
from stylegen.data.dataset import ImageDataset
from stylegen.diagnosis import cause_rules, curve_rules, sample_rules
from stylegen.diagnosis.evidence import SEVERITIES, Evidence, Finding, SampleFacts
from stylegen.diagnosis.image_facts import Diversity, class_counts, data_facts
from stylegen.diagnosis.run_records import count_recoveries, open_run, plain_settings, read_records
from stylegen.errors import UserError

RULES: Sequence[Callable[[Evidence], list[Finding]]] = (  # of equal severity, causes before symptoms
    cause_rules.rate_too_high,
    cause_rules.classes_without_images,
    cause_rules.r1_missing,
    cause_rules.too_few_images,
    cause_rules.repeated_images,
    curve_rules.rate_is_zero,
    curve_rules.steps_skipped,
    curve_rules.scores_diverge,
    curve_rules.r1_out_of_range,
    curve_rules.discriminator_wins,
    curve_rules.discriminator_guesses,
    curve_rules.augmentation_behind,
    curve_rules.path_length_unsettled,
    curve_rules.metric_rises,
    sample_rules.samples_collapse,
    sample_rules.classes_collapse,
)


@dataclass(frozen=True)
class Diagnosis:
    """The findings of a run, the values that the rules compare, and what could not be checked."""

    run: str
    kimg: float
    findings: Sequence[Finding]
    measured: Mapping[str, float]
    unchecked: Sequence[str]

    def lines(self) -> list[str]:
        """Text for the terminal."""
        values = ", ".join(f"{name} {value:.3g}" for name, value in self.measured.items())
        head = [f"run {self.run}, {self.kimg:g} kimg", f"measured: {values}"]
        numbered = [f"{number}. {finding}" for number, finding in enumerate(self.findings, 1)]
        return [*head, *(numbered or ["nothing found"]), *[f"not checked: {what}" for what in self.unchecked]]

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object."""
        values: dict[str, Any] = {"run": self.run, "kimg": self.kimg}
        values |= {"findings": [f.to_dict() for f in self.findings], "measured": dict(self.measured)}
        return json.dumps(values | {"not_checked": list(self.unchecked)}, indent=indent)


def diagnose(run: str, count: int, device: torch.device) -> Diagnosis:
    """The diagnosis of a run folder.

    Args:
        count: samples of each snapshot, to compare their diversity with the data's; 0 for none.
        device: GPU or CPU that runs the generator.

    Raises:
        UserError: not a run, or damaged records.
    """
    folder, settings = open_run(run)
    records = read_records(folder.metrics)
    evidence = Evidence(records, plain_settings(settings), count_recoveries(folder.log))
    unchecked: list[str] = []
    try:  # records are diagnosed without images too, images without samples
        data = training_images(settings)
        evidence = replace(evidence, data=data_facts(data, uses_all_images(settings)))
        if count and not (paths := chosen_snapshots(folder)):
            unchecked.append("samples (the run has no snapshot)")
        elif count:
            evidence = replace(evidence, samples=sample_facts(data, paths, count, device))
    except (UserError, OSError) as error:
        unchecked.append(f"{'samples' if evidence.data else 'training images and samples'} ({error})")
    return Diagnosis(str(folder.root), evidence.kimg, findings(evidence), measured(evidence), unchecked)


def findings(evidence: Evidence) -> list[Finding]:
    """The findings of all rules, in order of severity."""
    found = [finding for rule in RULES for finding in rule(evidence)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def measured(evidence: Evidence) -> dict[str, float]:
    """The values that the rules compare with their thresholds, in the last quarter of the run; only known ones."""
    values = {
        "certainty": curve_rules.certainty(evidence),
        **{name: evidence.late(name) for name in ("score/real", "score/fake", "reg/r1", "reg/path_length")},
        **{name: evidence.late(name) for name in ("augment/sign", "augment/p")},
    }
    if evidence.samples:
        values |= {"spread": evidence.samples[-1].spread, "nearest": evidence.samples[-1].nearest}
    return {name: value for name, value in values.items() if value is not None}


def training_images(settings: TrainSettings) -> ImageDataset:
    """The dataset of a run, opened for reading a few images.

    Raises:
        UserError: data that cannot be opened.
    """
    arguments = {name: value for name, value in settings.data.items() if name != "workers"}
    return ImageDataset(**arguments | {"cache": "off"})


def uses_all_images(settings: TrainSettings) -> bool:
    """Whether the run is trained on each image of its source."""
    return settings.data["classes"] is None and settings.data["max_images"] is None


def sample_facts(data: ImageDataset, paths: Sequence[Path], count: int, device: torch.device) -> list[SampleFacts]:
    """The facts of snapshots, oldest first; classes are measured for the last.

    Raises:
        UserError: a damaged snapshot.
    """
    diversity = Diversity(data, max(count, 2), device)
    facts = [diversity.measure(path) for path in paths]
    if counts := class_counts(data.labels()):
        facts[-1] = replace(facts[-1], class_spread=diversity.measure_classes(paths[-1], counts))
    return facts


def chosen_snapshots(folder: RunFolder) -> list[Path]:
    """The newest snapshot and the ones at a third and two thirds of the run, oldest first."""
    paths = folder.snapshots()
    return [paths[k] for k in sorted({len(paths) // 3, 2 * len(paths) // 3, len(paths) - 1})] if paths else []
