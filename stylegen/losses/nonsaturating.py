"""Non-saturating logistic loss (Goodfellow et al. 2014, arXiv 1406.2661, section 3), used by StyleGAN 1 to 3."""

import torch.nn.functional as F
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.loss import Loss


class Nonsaturating(Loss):
    """Computed as -log sigmoid(t) = softplus(-t), which does not overflow."""

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        """E softplus(-D(G(z)))."""
        return F.softplus(-fake.logits).mean()

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        """E softplus(-D(x)) + E softplus(D(G(z)))."""
        return F.softplus(-real.logits).mean() + F.softplus(fake.logits).mean()
