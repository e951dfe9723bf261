"""Real runs that were made to fail, and healthy ones: the recorded evidence gives the right cause.

recorded/<name>.json is the `Evidence` of a run of the default recipe; docs/troubleshooting.md has the commands.
"""

import json
from pathlib import Path

import pytest

from stylegen.diagnosis.diagnosis import findings
from stylegen.diagnosis.evidence import DataFacts, Evidence, SampleFacts

RECORDED = Path(__file__).parent / "recorded"
CAUSES = {
    "healthy0": None,
    "healthy1": None,
    "no_r1": "r1_missing",
    "rate_times_20": "rate_too_high",
    "twenty_images": "too_few_images",
    "missing_class": "class_without_images",
}


def recorded(name: str) -> Evidence:
    values = json.loads((RECORDED / f"{name}.json").read_text())
    samples = [
        SampleFacts(**facts | {"class_spread": {int(k): v for k, v in facts["class_spread"].items()}})
        for facts in values.pop("samples")
    ]
    return Evidence(**values | {"data": DataFacts(**values["data"]), "samples": samples})


@pytest.mark.parametrize("name", CAUSES)
def test_the_first_finding_is_the_cause(name: str) -> None:
    found = [finding.rule for finding in findings(recorded(name))]
    assert found[:1] == [CAUSES[name]] * (CAUSES[name] is not None)


def test_overshooting_steps_show_in_the_scores() -> None:
    assert [finding.rule for finding in findings(recorded("rate_times_20"))] == ["rate_too_high", "scores_diverge"]


def test_every_recorded_run_is_tested() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == set(CAUSES)
