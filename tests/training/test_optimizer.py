"""Learning rates as a function of images seen."""

import math

import pytest
import torch
from torch import nn

from stylegen.errors import UserError
from stylegen.training.optimizer import AdamSettings


def test_without_a_schedule_rates_are_constant() -> None:
    settings = AdamSettings()
    assert not settings.is_scheduled
    assert {settings.factor(t) for t in (0, 1, 10**9)} == {1.0}


def test_ramp_up_from_zero() -> None:
    settings = AdamSettings(rampup_kimg=10)
    assert [settings.factor(t) for t in (0, 2_500, 10_000, 50_000)] == [0, 0.25, 1, 1]


@pytest.mark.parametrize(
    ("decay", "quarter", "half"), [("linear", 0.8, 0.6), ("cosine", 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2, 0.6)]
)
def test_decay(decay: str, quarter: float, half: float) -> None:
    settings = AdamSettings(decay=decay, decay_start_kimg=100, decay_kimg=400, decay_to=0.2)
    found = [settings.factor(t * 1000) for t in (0, 100, 200, 300, 500, 10_000)]
    assert found == pytest.approx([1, 1, quarter, half, 0.2, 0.2])


def test_ramp_up_and_decay_multiply() -> None:
    settings = AdamSettings(g_lr=0.1, d_lr=0.4, rampup_kimg=2, decay="linear", decay_kimg=4)
    assert settings.factor(1000) == pytest.approx(0.5 * 0.75)
    assert settings.rates(1000) == pytest.approx({"G": 0.0375, "D": 0.15})


def test_the_rate_follows_the_clock_whatever_a_checkpoint_brings() -> None:
    settings = AdamSettings(g_lr=0.01, rampup_kimg=1)
    optimizer = settings.build("G", [nn.Parameter(torch.zeros(1))], correction=0.8)
    settings.set_rate(optimizer, 250)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.002)
    other = settings.build("G", [nn.Parameter(torch.zeros(1))], correction=0.8)
    other.load_state_dict(optimizer.state_dict())
    settings.set_rate(other, 500)
    assert other.param_groups[0]["lr"] == pytest.approx(0.004)


def test_no_schedule_leaves_the_optimizer_alone() -> None:
    optimizer = AdamSettings().build("D", [nn.Parameter(torch.zeros(1))], correction=1)
    optimizer.param_groups[0]["lr"] = 7
    AdamSettings().set_rate(optimizer, 10**6)
    assert optimizer.param_groups[0]["lr"] == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": "cosin"}, "Did you mean cosine"),
        ({"decay": "linear"}, "decay_kimg=0"),
        ({"rampup_kimg": -1}, "rampup_kimg=-1"),
        ({"decay_start_kimg": math.nan}, "decay_start_kimg=nan"),
        ({"decay_to": 1.5}, "decay_to=1.5"),
        ({"decay_kimg": 1e300}, "optimizer.decay_kimg"),
        ({"g_lr": 0}, "optimizer.g_lr=0: must be a number above 0 to 1. "),
        ({"g_lr": 1e300}, "optimizer.g_lr"),
        ({"d_lr": math.inf}, "optimizer.d_lr=inf"),
        ({"eps": math.nan}, "optimizer.eps=nan"),
        ({"eps": 1e-60}, "optimizer.eps=1e-60"),
        ({"g_betas": [0.9]}, r"optimizer.g_betas=\[0.9\]: must be a list of 2 values, not 1"),
        ({"d_betas": [0, 1]}, r"optimizer.d_betas=\[0, 1\]"),
        ({"d_betas": [math.nan, 0]}, r"optimizer.d_betas=\[nan, 0\]"),
    ],
)
def test_impossible_settings(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        AdamSettings(**settings)
