"""Training steps in float64 with all regularizers at once, on any number of processes and micro-batches."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.distributed import rank, world_size
from stylegen.losses import LOSSES
from stylegen.networks.discriminator import RandomInputs
from stylegen.networks.stylegan2_discriminator import Discriminator
from stylegen.randomness import Request
from stylegen.regularizers import REGULARIZERS
from stylegen.training.optimizer import AdamSettings
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, StepOptions, TrainingStep
from tests.support.double import Double
from tests.support.tiny import tiny_generator

BATCH, SIDE = 8, 8
# Weights of order 1, so that every term matters. The other constraint excludes spectral normalization.
SETTINGS: dict[str, dict[str, Any]] = {name: {} for name in REGULARIZERS if name != "weight_clipping"} | {
    "lecam": {"start_kimg": BATCH / 1000, "weight": 1.0, "decay": 0.5},  # from the second step on
    "vdb": {"rate": 0.5, "beta": 0.5},
    "drift": {"weight": 1.0},
    "orthogonal": {"network": "D", "weight": 0.01, "every": 2},
    "roth": {"gamma": 1.0, "decay_kimg": BATCH / 500},
    "dragan": {"every": 2},
    "wgan_div": {"points": "ends"},
}


class BottleneckCritic(Discriminator):
    """A StyleGAN2 discriminator with dropout of the features and a divergence."""

    @property
    def random_inputs(self) -> Mapping[str, Request]:
        return {"dropout": Request("uniform", (8,))}

    def outputs(self, x: Tensor, c: Tensor | None = None, random: RandomInputs | None = None) -> DiscriminatorOutputs:
        found = super().outputs(x, c)
        assert found.features is not None
        features = found.features if random is None else found.features * (random["dropout"] < 0.5)
        divergence = features.square().sum(dim=1, keepdim=True) / 2
        return DiscriminatorOutputs(found.logits + features.sum(dim=1, keepdim=True), features, divergence=divergence)


def regularized_step(
    settings: Mapping[str, Mapping[str, Any]] = SETTINGS, micro_batch: int | None = None
) -> TrainingStep:
    """A step with the regularizers of these names and arguments."""
    with randomness.seeded_construction(0, "critic"):
        critic = BottleneckCritic(SIDE, channel_base=64, channel_max=8, mbstd_group_size=2)
    random_inputs = Double(KeyedRandomInputs(0, 8, torch.zeros(1, 0)))
    options = StepOptions(batch_per_device=micro_batch, optimizer=AdamSettings(eps=1e-3))  # see `double.EPS`
    regularizers = {name: REGULARIZERS[name](**arguments) for name, arguments in settings.items()}
    objective = Objective(LOSSES["nonsaturating"](), regularizers)
    return TrainingStep(tiny_generator(SIDE), critic, objective, random_inputs, options).to(torch.float64)


def train(step: TrainingStep, steps: int) -> dict[str, Tensor]:
    """Further steps on this rank's share of a batch -> the weights and buffers."""
    for number in range(step.steps, step.steps + steps):
        indices = torch.arange(BATCH) + BATCH * number
        images = randomness.normal(0, "images", indices, (3, SIDE, SIDE)).double()[rank() :: world_size()]
        step(images, torch.zeros(len(images), 0))
    state: dict[str, Tensor] = step.modules.state_dict()
    return state
