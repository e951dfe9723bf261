"""DRAGAN (Kodali et al. 2017, arXiv 1705.07215; constants as in the author's notebook)."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from stylegen.bounds import Interval, Range, Share, Weight, check_arguments
from stylegen.distributed import sum_over_ranks
from stylegen.randomness import Request
from stylegen.regularizers.gradient_penalty import gradient_norms
from stylegen.regularizers.regularizer import CriticBatch, Regularizer

PERTURBED = "real/perturbed"


class DRAGAN(Regularizer):
    """weight * E (|| grad_x D(x) || - target)^2 near real images: x = real + a * noise * d * U.

    U ~ U[0, 1) for each value, a ~ U[0, 1) for each image, and d the standard deviation of all values of the batch. The
    norm refers to full-size images while networks grow (see `R1`), the noise to the images that D receives.

    Args:
        weight: factor of the term, lambda.
        target: k, the gradient norm without penalty.
        noise: factor of the perturbation.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    views = (PERTURBED,)
    differentiates = (PERTURBED,)
    deviation: Tensor

    def __init__(
        self,
        weight: Weight = 10.0,
        target: Annotated[float, Range(0, 1e6)] = 1.0,
        noise: Share = 0.5,
        every: Interval = 1,
    ) -> None:
        check_arguments("regularizers.dragan", DRAGAN, locals())
        super().__init__(every)
        self.weight, self.target, self.noise = weight, target, noise
        self.register_buffer("deviation", torch.zeros(()), persistent=False)  # of the current step

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return {"noise": Request("uniform", image_shape), "share": Request("uniform", (1, 1, 1))}

    def observe(self, real: Sequence[Tensor]) -> None:
        moments = [torch.stack([torch.ones_like(x).sum(), x.sum(), x.square().sum()]) for x in real]
        count, first, second = sum_over_ranks(torch.stack(moments).sum(dim=0))
        self.deviation.copy_((second / count - (first / count).square()).clamp(min=0).sqrt())

    def measure(self, batch: CriticBatch) -> Tensor:
        perturbation = self.noise * self.deviation * batch.random["noise"]
        images = (batch.images("real").detach() + batch.random["share"] * perturbation).requires_grad_()
        return gradient_norms(images, batch.outputs_for(images, PERTURBED).logits, batch.downscale)

    def combine(self, norms: Tensor) -> Tensor:
        return self.weight * (norms - self.target).square().mean()
