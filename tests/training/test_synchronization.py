"""A training step does not wait for the device."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from stylegen import randomness
from stylegen.augment import Augmentation, Controller
from stylegen.augment.diffaugment import DiffAugment
from stylegen.losses import LOSSES
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.randomness.philox import generate_by_tensors
from stylegen.regularizers import REGULARIZERS
from stylegen.training.optimizer import AdamSettings
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.tiny import tiny_generator

# Operations that read values on the host, or whose result has a size that depends on values.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique", "lift_fresh")


class Waits(TorchDispatchMode):
    """Names of the operations that would wait for a GPU; constants made from Python numbers count too."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = (
            [m for m in args[1] if m is not None and m.dtype == torch.bool] if name in ("index", "index_put_") else []
        )
        if name in WAITING or masks:
            self.found.append("nonzero" if masks else name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits = Waits()
    read = Tensor.tolist  # without an operation
    monkeypatch.setattr(Tensor, "tolist", lambda tensor: waits.found.append("tolist") or read(tensor))
    monkeypatch.setattr(randomness, "generate", generate_by_tensors)  # NumPy is for CPUs
    return waits


def test_the_count_finds_them(waits: Waits) -> None:
    x = torch.ones(2)
    with waits:
        _ = x.sum().item(), bool(x[0] > 0), x[x > 0], x.tolist(), torch.tensor(1.0)
    assert waits.found == ["_local_scalar_dense", "_local_scalar_dense", "nonzero", "tolist", "lift_fresh"]


def test_a_step_with_every_phase_never_waits(waits: Waits) -> None:
    critic = Discriminator(16, channel_base=128, channel_max=8)
    regularizers = {name: REGULARIZERS[name](every=2) for name in ("r1", "path_length")}
    augment = Augmentation(DiffAugment(), Controller(p=0.3, every=4))
    objective = Objective(LOSSES["nonsaturating"](), regularizers, augment)
    options = StepOptions(optimizer=AdamSettings(rampup_kimg=1.0))
    step = TrainingStep(tiny_generator(), critic, objective, KeyedRandomInputs(0, 8, torch.zeros(1, 0)), options)
    images, labels = torch.rand(8, 3, 16, 16) * 2 - 1, torch.zeros(8, 0)
    step(images, labels)
    step(images, labels)
    with waits:
        step(images, labels)
    assert step.steps == 3
    assert waits.found == []
