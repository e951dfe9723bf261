"""Hinge loss (Lim and Ye 2017, arXiv 1705.02894; Tran et al. 2017, arXiv 1702.08896), used by SNGAN, SAGAN and
BigGAN."""

import torch.nn.functional as F
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.loss import Loss


class Hinge(Loss):
    """The discriminator's gradient is zero for images on the right side of the margin."""

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        """-E D(G(z))."""
        return -fake.logits.mean()

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))."""
        return F.relu(1 - real.logits).mean() + F.relu(1 + fake.logits).mean()
