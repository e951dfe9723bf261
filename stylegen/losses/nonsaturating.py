"""The non-saturating logistic loss (Goodfellow et al. 2014, section 3), the loss of StyleGAN 1 to 3.

softplus(t) = log(1 + e^t) never overflows, where log(sigmoid(-t)) does.
"""

import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """E softplus(-D(G(z))): logits [N, 1] -> scalar."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E softplus(-D(x)) + E softplus(D(G(z))): logits [N, 1], [N, 1] -> scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()
