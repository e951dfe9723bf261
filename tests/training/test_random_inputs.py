"""The random inputs of a training step are generated in a few launches."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from stylegen.augment import Augmentation, Controller
from stylegen.augment.pipeline import AdaPipeline
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.training.random_inputs import InputSpec, KeyedDraws, PhaseInputs
from stylegen.training.step import Objective, TrainingStep
from tests.support.tiny import tiny_generator


class Operations(TorchDispatchMode):
    """Counts tensor operations, without views."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        written = [value.alias_info is None or value.alias_info.is_write for value in function._schema.returns]
        self.count += any(written)
        return function(*args, **(kwargs or {}))


class CountedDraws(KeyedDraws):
    count = 0

    def inputs(self, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        with Operations() as operations:
            found = super().inputs(phase, indices, spec)
        self.count += operations.count
        return found


@pytest.mark.parametrize("augment", [None, Augmentation(AdaPipeline("bgc"), Controller(p=0.5))])
@pytest.mark.parametrize("regularizers", [("r1",), ("r1", "path_length")])
def test_at_most_60_operations_of_a_step(regularizers: tuple[str, ...], augment: Augmentation | None) -> None:
    draws = CountedDraws(seed=0, z_dim=8, label_table=torch.zeros(1, 0))
    critic = DISCRIMINATORS["stylegan2"](resolution=32, channel_base=128, channel_max=8)
    objective = Objective(LOSSES["nonsaturating"](), {name: REGULARIZERS[name]() for name in regularizers}, augment)
    step = TrainingStep(tiny_generator(32), critic, objective, draws)
    step(torch.rand(8, 3, 32, 32) * 2 - 1, torch.zeros(8, 0))  # at step 0, all phases are due
    assert 0 < draws.count <= 60
