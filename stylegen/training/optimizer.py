"""Adam for both networks (Kingma and Ba 2015, arXiv 1412.6980)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stylegen.errors import UserError


@torch.no_grad()
def nonfinite_gradients(parameters: Sequence[nn.Parameter]) -> Tensor:
    """1.0 if any gradient holds an infinity or NaN, else 0.0, on the device of the parameters."""
    largest = torch._foreach_norm([p.grad for p in parameters if p.grad is not None], float("inf"))
    return 1 - torch.stack(list(largest)).isfinite().all().float()


@dataclass(frozen=True)
class AdamSettings:
    """Settings before the correction for lazy regularisation.

    Attributes:
        g_lr, d_lr: learning rates of generator and discriminator.
        beta1, beta2, eps: Adam's own.
    """

    g_lr: float = 0.002
    d_lr: float = 0.002
    beta1: float = 0.0
    beta2: float = 0.99
    eps: float = 1e-8

    def __post_init__(self) -> None:
        rates = self.g_lr > 0 and self.d_lr > 0 and self.eps > 0
        if not (rates and 0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise UserError(
                f"optimizer {self}",
                rule="learning rates and eps are greater than 0, betas from 0 to below 1",
                fix="StyleGAN2's own are g_lr=d_lr=0.002, beta1=0, beta2=0.99, eps=1e-8",
            )

    def build(self, network: str, parameters: Iterable[nn.Parameter], correction: float) -> torch.optim.Adam:
        """Adam with lr * c and beta^c.

        Args:
            network: "G" or "D".
            correction: c of `training.phases.lazy_correction`.
        """
        rate = {"G": self.g_lr, "D": self.d_lr}[network] * correction
        betas = (self.beta1**correction, self.beta2**correction)
        return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=self.eps, fused=True)
