"""Minimax loss (Goodfellow et al. 2014, arXiv 1406.2661, Eq. 1): the generator minimizes what D maximizes."""

import torch.nn.functional as F
from torch import Tensor

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.nonsaturating import Nonsaturating


class Minimax(Nonsaturating):
    """D as `Nonsaturating`. G's gradient vanishes (saturates) where D rejects its images: -sigmoid(D(G(z)))."""

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        """E log(1 - sigmoid(D(G(z)))) = -E softplus(D(G(z)))."""
        return -F.softplus(fake.logits).mean()
