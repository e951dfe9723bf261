"""Regularizer of the Jensen-Shannon GAN (Roth et al. 2017, arXiv 1705.09367; as in the authors' code)."""

import torch
from torch import Tensor

from stylegen.bounds import Interval, Kimg, Weight, check_arguments
from stylegen.regularizers.gradient_penalty import squared_gradients
from stylegen.regularizers.regularizer import CriticBatch, Regularizer

_FINAL = 0.01  # factor at the end of the decay


class Roth(Regularizer):
    """(gamma / 2) [E (1 - s(D(x)))^2 || grad_x D(x) ||^2 + E s(D(x'))^2 || grad_x' D(x') ||^2], x real, x' generated.

    s is the sigmoid, D the logit. The factors are differentiated too. Norms refer to full-size images while networks
    grow; see `R1`.

    Args:
        gamma: weight at the start.
        decay_kimg: thousands of images in which the weight falls exponentially to gamma / 100, where it stays; 0 for a
            constant weight.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    sources = ("fake", "real")
    differentiates = ("fake", "real")
    factor: Tensor

    def __init__(self, gamma: Weight = 0.1, decay_kimg: Kimg = 0.0, every: Interval = 1) -> None:
        check_arguments("regularizers.roth", Roth, locals())
        super().__init__(every)
        self.gamma, self.decay_kimg = gamma, decay_kimg
        self.register_buffer("factor", torch.ones(()), persistent=False)

    def begin_step(self, images_seen: int) -> None:
        if self.decay_kimg:
            self.factor.fill_(_FINAL ** min(images_seen / (1000 * self.decay_kimg), 1.0))

    def measure(self, batch: CriticBatch) -> Tensor:
        terms = []
        for source, sign in (("real", -1), ("fake", 1)):
            logits = batch.outputs(source).logits
            squares = squared_gradients(batch.images(source), logits, batch.downscale)
            weights = torch.sigmoid(sign * logits[:, 0].to(squares.dtype)).square()  # 1 - s(t) = s(-t)
            terms.append(weights * squares)
        return torch.stack(terms).sum(dim=0)

    def combine(self, terms: Tensor) -> Tensor:
        return self.gamma / 2 * self.factor * terms.mean()
