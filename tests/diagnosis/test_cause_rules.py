"""Each rule over settings and training images, on both sides of its threshold."""

import pytest

from stylegen.diagnosis import cause_rules as rules
from stylegen.diagnosis.evidence import DataFacts, Evidence


def names(found):
    return [finding.rule for finding in found]


def with_data(kimg=10.0, settings=(), **facts):
    return Evidence([{"kimg": kimg}], dict(settings), data=DataFacts(**facts))


@pytest.mark.parametrize(("g_lr", "d_lr", "found"), [(0.025, 0.025, []), (0.026, 0.002, ["rate_too_high"])])
def test_rates(g_lr, d_lr, found):
    assert names(rules.rate_too_high(Evidence([], {"optimizer.g_lr": g_lr, "optimizer.d_lr": d_lr}))) == found


def test_both_rates_are_named_with_their_fix():
    (finding,) = rules.rate_too_high(Evidence([], {"optimizer.g_lr": 0.2, "optimizer.d_lr": 0.05}))
    assert "optimizer.g_lr=0.2 and optimizer.d_lr=0.05" in finding.text
    assert finding.fix == "Use optimizer.g_lr=0.0025 optimizer.d_lr=0.0025"


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, ["r1_missing"]),
        ({"regularizers.r1.gamma": 0.01}, []),
        ({"regularizers.drift.weight": 0.01}, ["r1_missing"]),
        ({"regularizers.spectral_norm.iterations": 1}, []),
    ],
)
def test_a_run_without_r1(settings, found):
    assert names(rules.r1_missing(Evidence([], settings))) == found


@pytest.mark.parametrize(
    ("kimg", "settings", "severity"),
    [
        (4.0, {"total_kimg": 4.0}, None),  # 200 passes
        (4.01, {"total_kimg": 4.0}, "problem"),
        (0.1, {"total_kimg": 5.0}, "advice"),
        (8.0, {"total_kimg": 8.0, "data.mirror": True}, None),
        (8.0, {"total_kimg": 8.0, "augment.name": "ada"}, None),
    ],
)
def test_passes_over_few_images(kimg, settings, severity):
    found = rules.too_few_images(with_data(kimg, settings, num_images=20))
    assert [finding.severity for finding in found] == [severity] * (severity is not None)


@pytest.mark.parametrize(("effective", "found"), [(75.0, []), (74.9, ["repeated_images"])])
def test_repeated_images(effective, found):
    facts = {"num_images": 100, "checked": 100, "repeated": 20, "example": ("a.png", "b.png"), "effective": effective}
    assert names(rules.repeated_images(with_data(**facts))) == found


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([50, 50], []),
        ([50, 0, 50], ["class_without_images"]),
        ([100, 100, 8], []),  # the average is 69.3
        ([100, 100, 6], ["class_with_few_images"]),
        ([100, 0, 100, 6], ["class_without_images", "class_with_few_images"]),
        ([], []),
    ],
)
def test_images_of_classes(counts, found):
    assert names(rules.classes_without_images(with_data(num_images=100, class_counts=counts))) == found


def test_a_class_is_named():
    run = with_data(num_images=9, class_counts=[5, 0, 4], class_names=["light", "medium", "dark"])
    (finding,) = rules.classes_without_images(run)
    assert "Class 1 (medium) of 3 has no training image" in finding.text


@pytest.mark.parametrize(
    "rule", [rules.too_few_images, rules.repeated_images, rules.classes_without_images], ids=lambda rule: rule.__name__
)
def test_without_data_nothing_is_found(rule):
    assert not rule(Evidence([{"kimg": 1e6}], {}))
