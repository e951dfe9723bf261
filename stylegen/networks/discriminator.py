"""The contract of discriminators."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.randomness import Request

RandomInputs = Mapping[str, Tensor]


class StyleDiscriminator(nn.Module, ABC):
    """Images (and labels) -> logits and further outputs.

    Attributes:
        name: the key in `DISCRIMINATORS`.
        num_classes: K, 0 without labels.
        mbstd_group_size: images per group of the minibatch standard deviation; divides the batch size.
        blocks: a `ModuleDict` of the blocks by resolution.
        random_inputs: the random numbers of a forward pass in training, by name, for one image; for example of
            dropout. Networks generate none themselves.
    """

    name: str
    num_classes: int
    mbstd_group_size: int
    blocks: nn.ModuleDict

    @property
    def random_inputs(self) -> Mapping[str, Request]:
        return {}

    @abstractmethod
    def outputs(self, x: Tensor, c: Tensor | None = None, random: RandomInputs | None = None) -> DiscriminatorOutputs:
        """All outputs.

        Args:
            x: [N, channels, H, H] in [-1, 1]; c: [N, num_classes].
            random: `random_inputs` for N images, in training; None for the deterministic network.
        """

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Logits [N, 1] of the deterministic network; see `outputs`."""
        return self.outputs(x, c).logits
