"""Properties of every loss: no overflow for large logits, and independence of micro-batches.

`tests/training/test_ranks.py` tests them on several processes.
"""

import pytest
import torch
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses import Loss
from stylegen.training.phases import build_phases
from tests.support.loss_gradients import VARIANTS, assert_same_gradients, gradients
from tests.support.micro_batch import micro_batch


def generator_value(loss: Loss, real: Tensor, fake: Tensor) -> Tensor:
    return loss.generator(DiscriminatorOutputs(fake), DiscriminatorOutputs(real))


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("sign", [1, -1])
def test_large_logits_do_not_overflow(sign: int, loss: Loss) -> None:
    real, fake = torch.full((2, 1), sign * 1e4, requires_grad=True), torch.full((2, 1), -sign * 1e4, requires_grad=True)
    for value in (
        generator_value(loss, real, fake),
        loss.discriminator(DiscriminatorOutputs(real), DiscriminatorOutputs(fake)),
    ):
        assert value.shape == ()
        assert all(g.isfinite().all() for g in [value, *torch.autograd.grad(value, fake)])


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
def test_real_logits_are_computed_only_for_losses_that_use_them(loss: Loss) -> None:
    step, critic, _ = micro_batch(p=0.0)
    step.generator.requires_grad_(True)
    main = build_phases(loss, {})[0]
    values = main.term.measure(main.prepare(step)).values[0]
    assert len(critic.seen) == len(values) == 1 + loss.generator_sees_real
    assert [value.requires_grad for value in values] == [True] + [False] * loss.generator_sees_real


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
def test_micro_batches_equal_one_batch(loss: Loss) -> None:
    assert_same_gradients(gradients(loss, micro_batch=2), gradients(loss))
