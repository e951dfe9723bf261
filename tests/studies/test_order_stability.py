"""Rank correlations of a study's variants."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from stylegen.studies.order_stability import orders, rank_correlation
from stylegen.studies.study_report import to_markdown
from stylegen.studies.trial import Trial, curves


@pytest.mark.parametrize("levels", [4, 1000])
def test_the_rank_correlation_is_scipys(levels: int) -> None:
    """With ties and without."""
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, levels, (2, 12)).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)
    assert rank_correlation([1, 2, 3], [7, 7, 7]) == 0


def trial(variant: str, seed: int, values: tuple[float, ...]) -> Trial:
    card = {"metrics": {"fd": values[-1]}, "better": {"fd": "lower"}, "references": {}, "num_samples": 9}
    return Trial(variant, seed, 8.0, card, 5, 1.0, curves={"fd": dict(zip((4.0, 8.0), values, strict=True))})


def test_the_order_at_each_evaluation() -> None:
    """At 4 kimg a and b are exchanged: rho = 1 - 6 * 2 / (3 * 8) = 1/2. Seed 1 has c, b, a there."""
    trials = [trial("a", 0, (2, 1)), trial("b", 0, (1, 2)), trial("c", 0, (3, 3))]
    trials += [trial("a", 1, (2, 1)), trial("b", 1, (1.5, 2)), trial("c", 1, (1.2, 3))]
    (first, last) = orders(trials, "fd")
    assert (first.kimg, first.with_end, first.between_seeds) == (4.0, pytest.approx(0.5), pytest.approx(-0.5))
    assert (last.kimg, last.with_end, last.between_seeds) == (8.0, pytest.approx(1), pytest.approx(1))
    names = dict.fromkeys("abc", "x")
    text = to_markdown("Title", trials, ["fd"], names, {name: [] for name in names}, "portraits")
    assert "| 4 | 0.50 | -0.50 |\n| 8 | 1.00 | 1.00 |" in text
    assert orders(trials[:2], "fd") == [], "two variants"
    assert orders(trials[1:], "fd") == [], "a missing seed"


def test_curves_are_read_from_the_records(tmp_path: Path) -> None:
    records = [{"kimg": 4, "metric/fd": 2.0, "loss/G": 1}, {"kimg": 5, "loss/G": 1}, {"kimg": 8, "metric/fd": None}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert curves(path) == {"fd": {4: 2.0}}
    assert curves(tmp_path / "none") == {}
