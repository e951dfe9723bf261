"""Least-squares loss (Mao et al. 2017, arXiv 1611.04076, Eq. 2), on logits without a sigmoid."""

from torch import Tensor

from stylegen.bounds import Logit, check_arguments
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses.loss import Loss


class LeastSquares(Loss):
    """The paper's targets are (a, b, c) = (0, 1, 1), its Eq. 9, and (-1, 1, 0), its Eq. 8, with which G minimizes the
    Pearson chi-squared divergence between p_data + p_G and 2 p_G.

    Args:
        a: target of D for generated images.
        b: target of D for real images.
        c: target of G for generated images.

    Raises:
        UserError: a target out of bounds.
    """

    def __init__(self, a: Logit = 0.0, b: Logit = 1.0, c: Logit = 1.0) -> None:
        check_arguments("loss", LeastSquares, locals())
        super().__init__()
        self.a, self.b, self.c = a, b, c

    def generator(self, fake: DiscriminatorOutputs, real: DiscriminatorOutputs | None = None) -> Tensor:
        """1/2 E (D(G(z)) - c)^2."""
        return (fake.logits - self.c).square().mean() / 2

    def discriminator(self, real: DiscriminatorOutputs, fake: DiscriminatorOutputs) -> Tensor:
        """1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2."""
        return ((real.logits - self.b).square().mean() + (fake.logits - self.a).square().mean()) / 2
