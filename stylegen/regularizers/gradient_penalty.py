"""Gradients of the discriminator's logits with respect to images, for gradient penalties."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stylegen.randomness import Request
from stylegen.regularizers.regularizer import CriticBatch

EPS = 1e-12  # inside the square root, so that a zero gradient has finite second derivatives
INTERPOLATED = "real/interpolated"
SHARE: Mapping[str, Request] = {"share": Request("uniform", (1, 1, 1))}


def squared_gradients(images: Tensor, logits: Tensor, downscale: int = 1) -> Tensor:
    """|| grad_X D ||^2 for each image, over all its pixels and channels, differentiable.

    Shapes: images [N, C, H, W], a leaf or part of the graph of logits [N, 1] -> [N], at least float32.

    Args:
        downscale: factor of `images` relative to the full-size images X; see `R1`.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    # The sum over millions of pixels needs at least float32.
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    return gradient.square().sum(dim=[1, 2, 3]) / downscale**2


def gradient_norms(images: Tensor, logits: Tensor, downscale: int = 1) -> Tensor:
    """|| grad_X D || for each image; see `squared_gradients`."""
    return (squared_gradients(images, logits, downscale) + EPS).sqrt()


def interpolated(batch: CriticBatch) -> tuple[Tensor, Tensor]:
    """x = s * real + (1 - s) * fake with s ~ U[0, 1) for each pair, and the logits of x under the real image's label.

    Needs `SHARE` among the random inputs, and the view `INTERPOLATED`.
    """
    real, fake = batch.images("real").detach(), batch.images("fake").detach()
    images = torch.lerp(fake, real, batch.random["share"]).requires_grad_()
    return images, batch.outputs_for(images, INTERPOLATED).logits
