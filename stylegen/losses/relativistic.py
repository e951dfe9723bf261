"""Relativistic logistic losses (Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4)."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.errors import unknown_choice
from stylegen.losses.loss import Loss

PAIRINGS = ("single", "average")


class Relativistic(Loss):
    """Compares real with fake logits: r = D(x), f = D(G(z)), s = softplus.

    Pairing "single", RSGAN (section 4.1; RpGAN in R3GAN, Huang et al. 2024, arXiv 2501.05441), compares images of the
    same index:

        D: E s(f - r)                                   G: E s(r - f)

    Pairing "average", RaSGAN (section 4.3), compares each logit with the mean of the other kind:

        D: E s(E f - r) + E s(f - E r)                  G: E s(r - E f) + E s(E r - f)

    The author's code halves the second loss; the paper and this class do not. Means are over the whole batch.

    Args:
        pairing: "single" or "average".

    Raises:
        UserError: an unknown pairing.
    """

    generator_sees_real: ClassVar[bool] = True

    def __init__(self, pairing: str = "single") -> None:
        if pairing not in PAIRINGS:
            raise unknown_choice("loss.pairing", pairing, PAIRINGS)
        super().__init__()
        self.pairing = pairing

    @property
    def coupled(self) -> bool:
        return self.pairing == "average"

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        assert real is not None
        return self._compare(fake.logits, real.logits)

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        return self._compare(real.logits, fake.logits)

    def _compare(self, high: Tensor, low: Tensor) -> Tensor:
        """The loss that raises the logits `high` above the logits `low`."""
        if self.pairing == "single":
            return F.softplus(low - high).mean()
        return F.softplus(low.mean() - high).mean() + F.softplus(low - high.mean()).mean()
