"""Rules over the diversity of samples, on both sides of their thresholds."""

import pytest

from stylegen.diagnosis.evidence import DataFacts, Evidence, SampleFacts
from stylegen.diagnosis.sample_rules import classes_collapse, samples_collapse


def test_without_samples_nothing_is_found():
    assert not samples_collapse(Evidence([], {})) + classes_collapse(Evidence([], {}))


@pytest.mark.parametrize(
    ("spreads", "nearest", "words"),
    [
        ([0.26], 0.26, None),
        ([0.24], 0.9, "alike"),
        ([0.9], 0.24, "repeat each other"),
        ([0.9, 0.46], 0.9, None),
        ([0.9, 0.44], 0.9, "lost diversity"),
        ([0.44, 0.9], 0.9, None),
    ],
)
def test_diversity(spreads, nearest, words):
    facts = [SampleFacts(kimg=4.0 * k, spread=spread, nearest=nearest) for k, spread in enumerate(spreads, 1)]
    found = samples_collapse(Evidence([], {}, samples=facts))
    assert len(found) == (words is not None)
    assert all(words in finding.text for finding in found)


def test_a_class_that_collapses():
    data = DataFacts(num_images=9, class_counts=[5, 4], class_names=["light", "dark"])
    facts = SampleFacts(kimg=8.0, spread=0.8, nearest=0.8, class_spread={0: 0.26, 1: 0.2})
    (finding,) = classes_collapse(Evidence([], {}, data=data, samples=[facts]))
    assert "1 (dark) (0.20)" in finding.text
    assert finding.values == {"classes": {1: 0.2}}


def test_a_collapse_of_all_samples_is_reported_once():
    facts = SampleFacts(kimg=8.0, spread=0.1, nearest=0.1, class_spread={0: 0.1})
    assert not classes_collapse(Evidence([], {}, samples=[facts]))
