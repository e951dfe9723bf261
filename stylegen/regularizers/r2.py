"""R2 (Mescheder et al. 2018, arXiv 1801.04406, Eq. 10): zero-centered gradient penalty on generated images."""

from torch import Tensor

from stylegen.bounds import Interval, Kimg, Weight, check_arguments
from stylegen.regularizers.gradient_penalty import squared_gradients
from stylegen.regularizers.r1 import R1
from stylegen.regularizers.regularizer import CriticBatch


class R2(R1):
    """(gamma / 2) E || grad_X D(X) ||^2 over generated X; see `R1` for growing networks.

    R3GAN (Huang et al. 2024, arXiv 2501.05441, section 2) adds it to R1, with the same gamma, in every step.

    Args:
        gamma: weight; the penalty is multiplied by gamma / 2, for images in [-1, 1].
        every: interval in steps; a lazy penalty is also multiplied by it, in `training.phases.Phase`.
        gamma_to: gamma moves to this value along a cosine (`stylegen.cosine_schedule`); null for a constant.
        gamma_kimg: length of that schedule in thousands of images.

    Raises:
        UserError: if a value is out of bounds, or a schedule has no length.
    """

    sources = ("fake",)
    differentiates = ("fake",)

    def __init__(
        self, gamma: Weight = 10.0, every: Interval = 16, gamma_to: Weight | None = None, gamma_kimg: Kimg = 0.0
    ) -> None:
        check_arguments("regularizers.r2", R2, locals())
        super().__init__(gamma, every, gamma_to, gamma_kimg)

    def measure(self, batch: CriticBatch) -> Tensor:
        return squared_gradients(batch.images("fake"), batch.outputs("fake").logits, batch.downscale)
