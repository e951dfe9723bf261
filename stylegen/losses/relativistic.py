"""Relativistic losses (Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4)."""

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import unknown_choice
from stylegen.losses.loss import Loss

PAIRINGS = ("single", "average")
# f(t) of a difference t that the loss raises.
KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "standard": lambda t: F.softplus(-t),
    "least_squares": lambda t: (t - 1).square(),
    "hinge": lambda t: F.relu(1 - t),
}


class Relativistic(Loss):
    """Compares real with fake logits: r = D(x), g = D(G(z)).

    Pairing "single", RSGAN (section 4.1; RpGAN in R3GAN, Huang et al. 2024, arXiv 2501.05441), compares images of the
    same index and label:

        D: E f(r - g)                                   G: E f(g - r)

    Pairing "average", RaSGAN, RaLSGAN and RaHingeGAN, compares each logit with the mean of the other
    kind:

        D: E f(r - E g) + E f(E r - g)                  G: E f(g - E r) + E f(E g - r)

    f(t) = softplus(-t) for "standard", (t - 1)^2 for "least_squares", max(0, 1 - t) for "hinge". The author's code
    halves the losses of "average"; the paper and this class do not. Means are over the whole batch.

    Args:
        pairing: "single" or "average".
        kind: f, "standard", "least_squares" or "hinge".

    Raises:
        UserError: an unknown pairing or kind.
    """

    generator_sees_real: ClassVar[bool] = True

    def __init__(self, pairing: str = "single", kind: str = "standard") -> None:
        if pairing not in PAIRINGS:
            raise unknown_choice("loss.pairing", pairing, PAIRINGS)
        if kind not in KINDS:
            raise unknown_choice("loss.kind", kind, KINDS)
        super().__init__()
        self.pairing, self.kind = pairing, kind

    @property
    def coupled(self) -> bool:
        return self.pairing == "average"

    @property
    def pairs_labels(self) -> bool:
        return self.pairing == "single"

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        assert real is not None
        return self._compare(fake.logits, real.logits)

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        return self._compare(real.logits, fake.logits)

    def _compare(self, high: Tensor, low: Tensor) -> Tensor:
        """The loss that raises the logits `high` above the logits `low`."""
        f = KINDS[self.kind]
        if self.pairing == "single":
            return f(high - low).mean()
        return f(high - low.mean()).mean() + f(high.mean() - low).mean()
