"""Cosine schedules: values in images, and what uses them."""

import pytest
import torch
from torch import nn

from stylegen.augment import Controller
from stylegen.cosine_schedule import CosineSchedule, cosine_schedule
from stylegen.errors import UserError
from stylegen.regularizers.r1 import R1
from stylegen.training.ema import EMA
from stylegen.training.optimizer import AdamSettings


def test_half_a_cosine() -> None:
    schedule = CosineSchedule(2.0, 0.2, kimg=12)
    found = [schedule.at(t) for t in (0, 4_000, 6_000, 8_000, 12_000, 10**9)]
    assert found == pytest.approx([2.0, 1.55, 1.1, 0.65, 0.2, 0.2])
    assert {CosineSchedule(3.0).at(t) for t in (0, 10**6)} == {3.0}


def test_half_a_schedule_is_refused() -> None:
    with pytest.raises(UserError, match=r"regularizers.r1.gamma_to=1 regularizers.r1.gamma_kimg=0: .*gamma_kimg=KIMG"):
        R1(gamma_to=1.0)
    with pytest.raises(UserError, match=r"x_kimg=5: without x_to the value does not change"):
        cosine_schedule("x", 1.0, None, 5.0)
    with pytest.raises(UserError, match=r"optimizer.beta2_kimg"):
        AdamSettings(beta2_to=0.99)


def test_beta2_of_both_networks_with_the_lazy_correction() -> None:
    settings = AdamSettings(g_betas=(0.1, 0.9), d_betas=(0.0, 0.8), beta2_to=0.99, beta2_kimg=1)
    for network, beta1, start in (("G", 0.1, 0.9), ("D", 0.0, 0.8)):
        optimizer = settings.build(network, [nn.Parameter(torch.zeros(1))], correction=0.5)
        for images, beta2 in ((0, start), (500, (start + 0.99) / 2), (2000, 0.99)):
            settings.set_rate(optimizer, images)
            assert optimizer.param_groups[0]["betas"] == pytest.approx((beta1**0.5, beta2**0.5))
        assert optimizer.param_groups[0]["lr"] == 0.001


def test_gamma_of_r1() -> None:
    constant, scheduled = R1(gamma=2.0), R1(gamma=2.0, gamma_to=0.2, gamma_kimg=12)
    for images, gamma in ((0, 2.0), (4_000, 1.55), (12_000, 0.2)):
        for regularizer in (constant, scheduled):
            regularizer.begin_step(images)
        assert scheduled.combine(torch.ones(4)).item() == pytest.approx(gamma / 2)
        assert constant.combine(torch.ones(4)).item() == 1.0
    assert not scheduled.state_dict()  # a function of the clock


def test_half_life_of_the_ema() -> None:
    ema = EMA(kimg=10, rampup=None, ramp_kimg=100)
    assert ema.decay(0, 32) == 0
    assert ema.decay(50_000, 32) == pytest.approx(0.5 ** (32 / 5_000))
    assert ema.decay(10**6, 32) == pytest.approx(0.5 ** (32 / 10_000))


def test_strength_of_augmentation() -> None:
    controller = Controller(target=None, p_to=0.4, p_kimg=1)
    for images, p in ((0, 0.0), (500, 0.2), (5000, 0.4)):
        controller.begin_step(images)
        controller.observe(torch.ones(4, 1))
        controller.end_step()
        assert controller.p == pytest.approx(p)
    with pytest.raises(UserError, match=r"augment.p_to=0.4 augment.target=0.6: .*augment.target=null"):
        Controller(p_to=0.4, p_kimg=1)
