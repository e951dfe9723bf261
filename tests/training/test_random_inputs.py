"""The random inputs of a training step are generated in a few launches."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.augment import Augmentation, Controller
from stylegen.augment.pipeline import AdaPipeline
from stylegen.benchmarks.operation_counts import OperationCounts
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS
from stylegen.randomness import Request
from stylegen.randomness.philox_numpy import generate_on_cpu
from stylegen.regularizers import REGULARIZERS
from stylegen.training.random_inputs import InputSpec, KeyedRandomInputs, PhaseInputs
from stylegen.training.step import Objective, TrainingStep
from tests.support.tiny import tiny_generator


class CountedInputs(KeyedRandomInputs):
    """Counts operations. `randomness.generate` has none on a CPU, and one kernel and one allocation on a GPU."""

    count = 0

    def generate(self, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        with OperationCounts() as counts:
            found = super().generate(phase, indices, spec)
        self.count += counts.operations.total()
        return found


@pytest.mark.parametrize("augment", [None, Augmentation(AdaPipeline("bgc"), Controller(p=0.5))])
@pytest.mark.parametrize("regularizers", [("r1",), ("r1", "path_length")])
def test_at_most_60_operations_of_a_step(
    regularizers: tuple[str, ...], augment: Augmentation | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Mapping[str, Request]] = []

    def generate(seed: int, indices: Tensor, requests: Mapping[str, Request]) -> dict[str, Tensor]:
        calls.append(requests)
        return generate_on_cpu(seed, indices, requests)

    monkeypatch.setattr(randomness, "generate", generate)
    random_inputs = CountedInputs(seed=0, z_dim=8, label_table=torch.zeros(1, 0))
    critic = DISCRIMINATORS["stylegan2"](resolution=32, channel_base=128, channel_max=8)
    objective = Objective(LOSSES["nonsaturating"](), {name: REGULARIZERS[name]() for name in regularizers}, augment)
    step = TrainingStep(tiny_generator(32), critic, objective, random_inputs)
    step(torch.rand(8, 3, 32, 32) * 2 - 1, torch.zeros(8, 0))  # at step 0, all phases are due
    assert len(calls) == len(step.phases), "one call for all numbers of a phase"
    integers = [request for requests in calls for request in requests.values() if request.kind == "integers"]
    assert 0 < random_inputs.count + 2 * len(calls) + len(integers) <= 60, "integers are converted on a GPU"
