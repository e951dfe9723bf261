"""Adversarial losses by name: two functions each, one a side. A new loss is one file and one row here."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stylegen.losses import nonsaturating


@dataclass(frozen=True)
class Loss:
    """What each side minimises, given the discriminator's logits [N, 1]."""

    generator: Callable[[Tensor], Tensor]  # fake logits -> scalar
    discriminator: Callable[[Tensor, Tensor], Tensor]  # real logits, fake logits -> scalar


LOSSES: dict[str, Loss] = {
    "nonsaturating": Loss(nonsaturating.generator_loss, nonsaturating.discriminator_loss),
}
