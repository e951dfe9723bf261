"""What every adversarial loss shares: two methods, one a side."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor


class Loss(ABC):
    """What generator and discriminator minimise, given the discriminator's logits [N, 1]: no sigmoid is applied.

    Row i of the real logits and row i of the fake logits belong to one image index, whatever the number of processes
    and micro-batches. The constructor's arguments become settings, `loss.<argument>`, within the bounds of their
    annotations (`stylegen.bounds`).

    Attributes:
        generator_sees_real: the generator's side takes (real_logits, fake_logits), not (fake_logits). The real images
            then go through the discriminator in the generator's phase too; their logits carry no gradient there.
        coupled: a side is more than a mean over rows, so parts of the batch cannot be combined one by one. Such a loss
            receives the logits of the whole batch, at the price of a second forward pass for micro-batches.
    """

    generator_sees_real: ClassVar[bool] = False

    @property
    def coupled(self) -> bool:
        return False

    @abstractmethod
    def generator(self, *args: Any, **kwargs: Any) -> Tensor:
        """fake_logits [N, 1], or real_logits [N, 1], fake_logits [N, 1] where `generator_sees_real` -> scalar."""

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """[N, 1], [N, 1] -> scalar."""
