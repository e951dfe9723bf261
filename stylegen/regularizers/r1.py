"""R1 (Mescheder et al. 2018, arXiv 1801.04406, Eq. 9): zero-centred gradient penalty on real pictures."""

from typing import ClassVar

import torch
from torch import Tensor

from stylegen.regularizers.base import CriticBatch, Regularizer


def r1_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """|| grad_x sum(D(x)) ||^2 of each picture, differentiable: [N, C, H, W], [N, 1] -> [N]."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    # A sum over millions of pixels: at least float32.
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    return gradient.square().sum(dim=[1, 2, 3])


class R1(Regularizer):
    """(gamma / 2) E || grad_x D(x) ||^2 over real x.

    Args:
        gamma: weight; the gradient is taken for pictures in [-1, 1].
        every: see `Regularizer`.
    """

    network: ClassVar[str] = "D"

    def __init__(self, gamma: float = 10.0, every: int = 16) -> None:
        super().__init__(every)
        self.gamma = gamma

    def measure(self, batch: CriticBatch) -> Tensor:
        images = batch.real.detach().requires_grad_(True)
        return r1_penalty(images, batch.critic(images, batch.labels))

    def combine(self, values: Tensor) -> Tensor:
        return self.gamma / 2 * values.mean()
