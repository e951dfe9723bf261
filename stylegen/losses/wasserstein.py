"""Wasserstein loss (Arjovsky et al. 2017, arXiv 1701.07875, section 3 and algorithm 1)."""

from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.loss import Loss


class Wasserstein(Loss):
    """Unbounded below: the discriminator must be Lipschitz continuous, by a regularizer."""

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        """-E D(G(z))."""
        return -fake.logits.mean()

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        """E D(G(z)) - E D(x)."""
        return fake.logits.mean() - real.logits.mean()
