"""Base class of adversarial losses."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from stylegen.discriminator_outputs import DiscriminatorOutputs


class Loss(nn.Module, ABC):
    """Losses of generator and discriminator as functions of the discriminator's outputs.

    Row i of the outputs for real and for generated images has the same image index, for any number of processes and
    micro-batches. The constructor's arguments become settings, `loss.<argument>`, with the bounds of their annotations
    (`stylegen.bounds`). State, such as BEGAN's k, is a buffer that `discriminator` updates; such a loss is `coupled`.

    Attributes:
        needs: fields of `DiscriminatorOutputs` that the loss uses, `logits` always among them.
        heads: the discriminator's heads that provide them; empty for any head.
        generator_sees_real: `generator` uses the outputs for real images. The generator's phase then runs the
            discriminator on real images too, without gradient.
        coupled: the loss is not a mean over rows, so it needs the outputs for the whole batch. With micro-batches this
            costs a second forward pass.
        pairs_labels: the loss compares the images of a row, so the generated one takes the label of the real one.
    """

    needs: ClassVar[tuple[str, ...]] = ("logits",)
    heads: ClassVar[tuple[str, ...]] = ()
    generator_sees_real: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()  # its own signature, from which the settings are read, is empty

    @property
    def coupled(self) -> bool:
        return False

    @property
    def pairs_labels(self) -> bool:
        return False

    @abstractmethod
    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        """-> scalar.

        Args:
            fake: D's outputs for generated images.
            real: D's outputs for real images, if `generator_sees_real`.
        """

    @abstractmethod
    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        """-> scalar."""

    def reports(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Mapping[str, Tensor]:
        """Further values for the log, by name, after a discriminator step."""
        return {}
