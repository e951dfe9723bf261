"""WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, Eq. 3)."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from torch import Tensor

from stylegen.bounds import Interval, Range, Weight, check_arguments
from stylegen.randomness import Request
from stylegen.regularizers.gradient_penalty import INTERPOLATED, SHARE, gradient_norms, interpolated
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


class WGANGP(Regularizer):
    """weight * E (|| grad_x D(x) || / target - 1)^2, x = s * real + (1 - s) * fake, s ~ U[0, 1).

    The norm is of each image, over all its pixels and channels. It refers to full-size images while networks grow, as
    in ProGAN (Karras et al. 2018, arXiv 1710.10196, appendix A.1); see `R1`.

    Args:
        weight: factor of the term, lambda.
        target: the norm of a 1-Lipschitz discriminator is 1; ProGAN uses 750 for CIFAR-10 (appendix D).
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    sources = ("fake", "real")
    views = (INTERPOLATED,)
    differentiates = (INTERPOLATED,)

    def __init__(
        self, weight: Weight = 10.0, target: Annotated[float, Range(1e-3, 1e6)] = 1.0, every: Interval = 1
    ) -> None:
        check_arguments("regularizers.wgan_gp", WGANGP, locals())
        super().__init__(every)
        self.weight, self.target = weight, target

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return SHARE

    def measure(self, batch: CriticBatch) -> Tensor:
        return gradient_norms(*interpolated(batch), batch.downscale)

    def combine(self, norms: Tensor) -> Tensor:
        return self.weight * (norms / self.target - 1).square().mean()
