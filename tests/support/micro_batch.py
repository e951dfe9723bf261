"""A micro-batch whose discriminator records its inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylegen.augment import Augmentation, Controller
from stylegen.augment.pipeline import AdaPipeline
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses import LOSSES
from stylegen.networks import StyleDiscriminator
from stylegen.networks.discriminator import RandomInputs
from stylegen.regularizers.r1 import R1
from stylegen.training.micro_batch import MicroBatch
from stylegen.training.phases import Phase, build_phases
from stylegen.training.random_inputs import KeyedRandomInputs
from tests.support.tiny import tiny_generator


class RecordingCritic(StyleDiscriminator):
    """A discriminator that records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def outputs(self, x: Tensor, c: Tensor | None = None, random: RandomInputs | None = None) -> DiscriminatorOutputs:
        self.seen.append(x)
        logits = x.square().sum(dim=(1, 2, 3))[:, None] / 100
        return DiscriminatorOutputs(logits, features=logits, label_logits=logits)


def micro_batch(p: float) -> tuple[MicroBatch, RecordingCritic, Callable[[str], Phase]]:
    """Four images with augmentation of strength `p` -> (micro-batch, its discriminator, phases by name)."""
    generator, critic = tiny_generator(), RecordingCritic()
    step = MicroBatch(
        generator=generator,
        discriminator=critic,
        real=torch.rand(4, 3, 16, 16) * 2 - 1,
        labels=torch.zeros(4, 0),
        indices=torch.arange(8, 12),
        random_inputs=KeyedRandomInputs(0, generator.z_dim, torch.zeros(1, 0)),
        augment=Augmentation(AdaPipeline("bgc"), Controller(p=p, target=None)),
    )
    phases = {phase.name: phase for phase in build_phases(LOSSES["nonsaturating"](), {"r1": R1(every=16)})}
    return step, critic, phases.__getitem__
