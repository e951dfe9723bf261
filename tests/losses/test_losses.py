"""What every loss keeps: large logits do not overflow, and the batch may be spread over processes and micro-batches."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.losses import Loss
from stylegen.training.phases import build_phases
from tests.integration.test_augmented_train import step_of
from tests.losses.gradients import VARIANTS, gradients

ROOT = Path(__file__).parents[2]


def generator_value(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    return loss.generator(real, fake) if loss.generator_sees_real else loss.generator(fake)


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_large_logits_do_not_overflow(sign: int, loss: Loss) -> None:
    real, fake = torch.full((2, 1), sign * 1e4, requires_grad=True), torch.full((2, 1), -sign * 1e4, requires_grad=True)
    for value in (generator_value(loss, real, fake), loss.discriminator(real, fake)):
        assert value.shape == ()
        assert all(g.isfinite().all() for g in [value, *torch.autograd.grad(value, fake)])


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
def test_the_generator_pays_for_real_logits_only_where_its_loss_needs_them(loss: Loss) -> None:
    step, critic, _ = step_of(p=0.0)
    step.generator.requires_grad_(True)
    main = build_phases(loss, [])[0]
    values = main.terms[0].measure(replace(step, phase=main.name))
    assert len(critic.seen) == len(values) == 1 + loss.generator_sees_real
    assert [value.requires_grad for value in values] == [False] * loss.generator_sees_real + [True]


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
def test_micro_batches_are_one_batch(loss: Loss) -> None:
    assert_same(gradients(loss, micro_batch=2), gradients(loss))


def test_two_processes_with_micro_batches_are_one_batch(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.losses.gradients", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ranks = [subprocess.Popen([*command, str(rank)], cwd=ROOT, env=environment) for rank in range(2)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, loss in VARIANTS.items():
            assert_same(found[name], gradients(loss))


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Up to float64's rounding in sums of fewer than 2^16 terms, none larger than the phase's largest gradient."""
    assert found.keys() == expected.keys()
    assert {name.split("/")[0] for name in found} == {"G_main", "D_main"}
    for phase in ("G_main", "D_main"):
        names = [name for name in expected if name.startswith(phase)]
        largest = max(expected[name].abs().max() for name in names)
        for name in names:
            assert (found[name] - expected[name]).abs().max() <= 2**16 * 2**-53 * largest, name
