"""R1 (Mescheder et al. 2018, arXiv 1801.04406, Eq. 9): zero-centred gradient penalty on real images."""

from typing import ClassVar

import torch
from torch import Tensor

from stylegen.bounds import Interval, Weight, check_arguments
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


def r1_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """|| grad_x D(x) ||^2 for each image, differentiable: [N, C, H, W], [N, 1] -> [N]."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    # The sum over millions of pixels needs at least float32.
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    return gradient.square().sum(dim=[1, 2, 3])


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

    Raises:
        UserError: if a value is out of bounds.
    """

    network: ClassVar[str] = "D"
    differentiates: ClassVar[tuple[str, ...]] = ("real",)

    def __init__(self, gamma: Weight = 10.0, every: Interval = 16) -> None:
        check_arguments("regularizers.r1", R1, locals())
        super().__init__(every)
        self.gamma = gamma

    def measure(self, batch: CriticBatch) -> Tensor:
        penalty = r1_penalty(batch.images("real"), batch.outputs("real").logits)
        return penalty / batch.downscale**2  # || grad_X ||^2 of the full-size image

    def combine(self, penalty: Tensor) -> Tensor:
        return self.gamma / 2 * penalty.mean()
