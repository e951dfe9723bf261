"""BEGAN (Berthelot et al. 2017, arXiv 1703.10717, sections 3.3 and 3.4), for an auto-encoding discriminator."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from stylegen.bounds import Share, check_arguments
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.loss import Loss


class Began(Loss):
    """l(v), minus the logit, is the reconstruction error of an image v:

        D: E l(x) - k E l(G(z))                         G: E l(G(z))
        k <- clip(k + k_rate (gamma E l(x) - E l(G(z))), 0, 1), after each step of D

    Reports k and the paper's measure of convergence, M = E l(x) + | gamma E l(x) - E l(G(z)) |; lower is better.

    Args:
        gamma: diversity ratio E l(G(z)) / E l(x), which k maintains.
        k_rate: lambda_k of the paper.

    Raises:
        UserError: a value outside [0, 1].
    """

    heads: ClassVar[tuple[str, ...]] = ("autoencoder",)
    k: Tensor

    def __init__(self, gamma: Share = 0.5, k_rate: Share = 0.001) -> None:
        check_arguments("loss", Began, locals())
        super().__init__()
        self.gamma, self.k_rate = gamma, k_rate
        self.register_buffer("k", torch.zeros(()))

    @property
    def coupled(self) -> bool:
        return True  # by k

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        return -fake.logits.mean()

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        of_real, of_fake = -real.logits.mean(), -fake.logits.mean()
        k = self.k.clone()  # of this step; the buffer gets the next one
        balance = (self.gamma * of_real - of_fake).detach()
        following = (k + self.k_rate * balance.to(k.dtype)).clamp(0, 1)
        self.k.copy_(torch.where(following.isfinite(), following, k))  # skip a step with non-finite errors
        return of_real - k * of_fake

    def reports(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Mapping[str, Tensor]:
        of_real, of_fake = -real.logits.mean(), -fake.logits.mean()
        return {"loss/k": self.k.clone(), "loss/convergence": of_real + (self.gamma * of_real - of_fake).abs()}
