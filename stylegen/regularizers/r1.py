"""R1 (Mescheder et al. 2018, arXiv 1801.04406, Eq. 9): zero-centered gradient penalty on real images."""

import torch
from torch import Tensor

from stylegen.bounds import Interval, Kimg, Weight, check_arguments
from stylegen.cosine_schedule import cosine_schedule
from stylegen.regularizers.gradient_penalty import squared_gradients
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


class R1(Regularizer):
    """(gamma / 2) E || grad_X D(X) ||^2 over real X, where X is the full-size image.

    A growing discriminator at resolution r of the final resolution R averages X [C, R, R] over blocks of (R/r)^2 pixels
    to x [C, r, r]. Each pixel of X receives (r/R)^2 times the derivative of its pixel of x, which (R/r)^2 share:

        || grad_X D ||^2 = (R/r)^2 * ((r/R)^2)^2 * || grad_x D ||^2 = (r/R)^2 * || grad_x D ||^2.

    So the penalty is 1, 1/4, 1/16 times the penalty with respect to x at lod 0, 1, 2. A fade does not change the
    factor: X is the blended image that the discriminator receives, and the discriminator's own blend is part of D.

    Args:
        gamma: weight; the penalty is multiplied by gamma / 2, for images in [-1, 1].
        every: interval in steps; a lazy penalty is also multiplied by it, in `training.phases.Phase`.
        gamma_to: gamma moves to this value along a cosine, as in R3GAN (`stylegen.cosine_schedule`); null for a
            constant.
        gamma_kimg: length of that schedule in thousands of images.

    Raises:
        UserError: if a value is out of bounds, or a schedule has no length.
    """

    network = "D"
    differentiates = ("real",)

    gamma: float | Tensor

    def __init__(
        self, gamma: Weight = 10.0, every: Interval = 16, gamma_to: Weight | None = None, gamma_kimg: Kimg = 0.0
    ) -> None:
        check_arguments("regularizers.r1", R1, locals())
        super().__init__(every)
        self.schedule = cosine_schedule("regularizers.r1.gamma", gamma, gamma_to, gamma_kimg)
        if self.schedule.is_constant:
            self.gamma = gamma
        else:
            self.register_buffer("gamma", torch.full((), float(gamma)), persistent=False)

    def begin_step(self, images_seen: int) -> None:
        if isinstance(self.gamma, Tensor):
            self.gamma.fill_(self.schedule.at(images_seen))

    def measure(self, batch: CriticBatch) -> Tensor:
        return squared_gradients(batch.images("real"), batch.outputs("real").logits, batch.downscale)

    def combine(self, penalty: Tensor) -> Tensor:
        return self.gamma / 2 * penalty.mean()
