"""Path length regularization (Karras et al. 2020b, arXiv 1912.04958, section 3.2)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stylegen.bounds import Count, Interval, Share, Weight, check_arguments
from stylegen.randomness import Request
from stylegen.regularizers.regularizer import Regularizer, SynthesisBatch


def path_lengths(images: Tensor, ws: Tensor, direction: Tensor) -> Tensor:
    """|| J_w^T y || with y = direction / sqrt(H W): norm over w, root mean square over layers.

    Shapes: images, direction [N, C, H, W], ws [N, L, D] -> [N], differentiable.
    """
    y = direction / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))  # squares of small values underflow
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


class PathLength(Regularizer):
    """weight * E (|| J_w^T y || - a)^2 with a the exponential moving average of the lengths (Eq. 4).

    Args:
        weight: factor of the term.
        decay: weight of the batch mean in each update of a.
        every, batch_shrink: see `Regularizer`.

    Raises:
        UserError: a value out of bounds.

    The buffer `mean` [] holds a. It is updated before it is subtracted, and the update is part of the graph.
    """

    network = "G"
    coupled = True  # by a
    mean: Tensor

    def __init__(
        self,
        weight: Weight = 2.0,
        decay: Share = 0.01,
        every: Interval = 4,
        batch_shrink: Count = 2,
    ) -> None:
        check_arguments("regularizers.path_length", PathLength, locals())
        super().__init__(every, batch_shrink)
        self.weight, self.decay = weight, decay
        self.register_buffer("mean", torch.zeros(()))

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return {"direction": Request("normal", image_shape)}

    def measure(self, batch: SynthesisBatch) -> Tensor:
        return path_lengths(batch.images, batch.ws, batch.random["direction"])

    def combine(self, lengths: Tensor) -> Tensor:
        mean = self.mean.lerp(lengths.mean().to(self.mean.dtype), self.decay)
        self.mean.copy_(torch.where(mean.isfinite(), mean, self.mean).detach())  # skip a step with non-finite lengths
        return self.weight * (lengths - mean).square().mean()
