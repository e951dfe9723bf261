"""Training with all regularizers at once: micro-batches, resuming, state. `test_ranks` has two processes."""

import copy

import torch

from tests.support.double import assert_same_state
from tests.support.regularized_steps import regularized_step, train


def test_micro_batches_train_as_one_and_a_checkpoint_continues_bit_for_bit() -> None:
    whole = regularized_step()
    before = {name: value.clone() for name, value in train(whole, 2).items()}
    saved = copy.deepcopy(whole.state_dict())
    continued = regularized_step()
    continued.load_state_dict(saved)
    expected = train(whole, 1)
    for name, value in train(continued, 1).items():
        assert torch.equal(value, expected[name]), name
    for state in ("vdb.beta", "lecam.real", "lecam.fake", "spectral_norm.u"):
        assert not torch.equal(before[f"regularizers.{state}"], expected[f"regularizers.{state}"]), state
    assert_same_state(train(regularized_step(micro_batch=4), 2), before)
