"""Zero-centered gradient penalty between real and generated images (Mescheder et al. 2018, arXiv 1801.04406, author's
code; analyzed by Thanh-Tung et al. 2019, arXiv 1902.03984)."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from stylegen.bounds import Interval, Weight, check_arguments
from stylegen.randomness import Request
from stylegen.regularizers.gradient_penalty import INTERPOLATED, SHARE, interpolated, squared_gradients
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


class ZeroGP(Regularizer):
    """weight * E || grad_x D(x) ||^2, x = s * real + (1 - s) * fake, s ~ U[0, 1); without a factor 1/2.

    The norm refers to full-size images while networks grow; see `R1`.

    Args:
        weight: factor of the term.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    sources = ("fake", "real")
    views = (INTERPOLATED,)
    differentiates = (INTERPOLATED,)

    def __init__(self, weight: Weight = 10.0, every: Interval = 1) -> None:
        check_arguments("regularizers.zero_gp", ZeroGP, locals())
        super().__init__(every)
        self.weight = weight

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return SHARE

    def measure(self, batch: CriticBatch) -> Tensor:
        return squared_gradients(*interpolated(batch), batch.downscale)

    def combine(self, penalty: Tensor) -> Tensor:
        return self.weight * penalty.mean()
