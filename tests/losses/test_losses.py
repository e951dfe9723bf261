"""Properties of every loss: no overflow for large logits, and independence of micro-batches.

`tests/training/test_ranks.py` tests them on several processes.
"""

import copy

import pytest
import torch

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses import Loss
from stylegen.training.phases import build_phases
from tests.support.loss_formulas import record
from tests.support.loss_gradients import VARIANTS, assert_same_gradients, gradients
from tests.support.micro_batch import micro_batch


def single(outputs: DiscriminatorOutputs) -> DiscriminatorOutputs:
    """In float32."""
    return DiscriminatorOutputs(*(None if value is None else value.float() for value in outputs))


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("count", [2, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_large_logits_do_not_overflow(sign: int, count: int, loss: Loss) -> None:
    """Nor large label logits, for a batch of one image too."""
    real, fake = (single(record(seed, count=count)) for seed in (0, 1))
    logits = torch.full((count, 1), sign * 1e4)
    real = real._replace(logits=logits.clone().requires_grad_(), label_logits=1e4 * real.label_logits)
    fake = fake._replace(logits=(-logits).requires_grad_(), label_logits=-1e4 * fake.label_logits)
    fake.features.requires_grad_()
    for value in (loss.generator(fake, real), copy.deepcopy(loss).discriminator(real, fake)):
        assert value.shape == ()
        found = torch.autograd.grad(value, [fake.logits, fake.features], allow_unused=True)
        assert all(v.isfinite().all() for v in [value, *found] if v is not None)


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
def test_real_logits_are_computed_only_for_losses_that_use_them(loss: Loss) -> None:
    step, critic, _ = micro_batch(p=0.0)
    step.generator.requires_grad_(True)
    main = build_phases(loss, {})[0]
    values = main.term.measure(main.prepare(step)).values[0]
    assert len(critic.seen) == 1 + loss.generator_sees_real
    logits = values[:: len(loss.needs)]
    assert [value.requires_grad for value in logits] == [True] + [False] * loss.generator_sees_real


@pytest.mark.parametrize("loss", VARIANTS.values(), ids=VARIANTS)
def test_micro_batches_equal_one_batch(loss: Loss) -> None:
    assert_same_gradients(gradients(loss, micro_batch=2), gradients(loss))
