"""Relativistic logistic losses (Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4): real against fake logits."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from stylegen.errors import unknown_choice
from stylegen.losses.loss import Loss

PAIRINGS = ("single", "average")


class Relativistic(Loss):
    """How much more real a real image is than a fake one, with r = D(x), f = D(G(z)), s = softplus.

    Pairing "single", RSGAN (section 4.1; R3GAN, Huang et al. 2024, arXiv 2501.05441, calls it RpGAN), compares the
    images of one index:

        D: E s(f - r)                                   G: E s(r - f)

    Pairing "average", RaSGAN (section 4.3), compares each image with the mean of the others' logits:

        D: E s(E f - r) + E s(f - E r)                  G: E s(r - E f) + E s(E r - f)

    The author's code halves the latter; the paper, and this, do not. The means are those of the whole batch.

    Args:
        pairing: "single" or "average".

    Raises:
        UserError: another pairing.
    """

    generator_sees_real: ClassVar[bool] = True

    def __init__(self, pairing: str = "single") -> None:
        if pairing not in PAIRINGS:
            raise unknown_choice("loss.pairing", pairing, PAIRINGS)
        self.pairing = pairing

    @property
    def coupled(self) -> bool:
        return self.pairing == "average"

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.discriminator(fake_logits, real_logits)  # the sides change places

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if self.pairing == "single":
            return F.softplus(fake_logits - real_logits).mean()
        real_mean, fake_mean = real_logits.mean(), fake_logits.mean()
        return F.softplus(fake_mean - real_logits).mean() + F.softplus(fake_logits - real_mean).mean()
