"""Base class of adversarial losses."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor


class Loss(ABC):
    """Losses of generator and discriminator as functions of the logits [N, 1], before any sigmoid.

    Row i of the real and of the fake logits has the same image index, for any number of processes and micro-batches.
    The constructor's arguments become settings, `loss.<argument>`, with the bounds of their annotations
    (`stylegen.bounds`).

    Attributes:
        generator_sees_real: `generator` takes (real_logits, fake_logits) instead of (fake_logits). The generator's
            phase then runs the discriminator on real images too, without gradient.
        coupled: the loss is not a mean over rows, so it needs the logits of the whole batch. With micro-batches this
            costs a second forward pass.
    """

    generator_sees_real: ClassVar[bool] = False

    @property
    def coupled(self) -> bool:
        return False

    @abstractmethod
    def generator(self, *args: Any, **kwargs: Any) -> Tensor:
        """fake_logits [N, 1], or real_logits [N, 1], fake_logits [N, 1] if `generator_sees_real` -> scalar."""

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """[N, 1], [N, 1] -> scalar."""
