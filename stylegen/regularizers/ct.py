"""Consistency term of CT-GAN (Wei et al. 2018, arXiv 1803.01541; as in the authors' code)."""

import torch
from torch import Tensor

from stylegen.bounds import Interval, Weight, check_arguments
from stylegen.regularizers.regularizer import CriticBatch, Regularizer

SECOND = "real/second"
_FEATURES = 0.1  # weight of the features' distance


class CT(Regularizer):
    """weight * E max(0, (D'(x) - D''(x))^2 + 0.1 mean (h'(x) - h''(x))^2 - margin) over real x.

    ' and '' are two passes with different dropout (and augmentation, if any), h the last hidden layer. CT-GAN adds it
    to `WGANGP`. It is 0 for a discriminator without dropout.

    Args:
        weight: factor of the term, lambda 2.
        margin: M', below which the term is 0.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    views = (SECOND,)
    needs = ("logits", "features")

    def __init__(self, weight: Weight = 2.0, margin: Weight = 0.0, every: Interval = 1) -> None:
        check_arguments("regularizers.ct", CT, locals())
        super().__init__(every)
        self.weight, self.margin = weight, margin

    def measure(self, batch: CriticBatch) -> Tensor:
        first, second = batch.outputs("real"), batch.outputs(SECOND)
        assert first.features is not None
        assert second.features is not None
        features = (first.features - second.features).flatten(1)
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        distance = (first.logits - second.logits)[:, 0].square() + _FEATURES * features.square().mean(dim=1)
        return (distance - self.margin).relu()

    def combine(self, distances: Tensor) -> Tensor:
        return self.weight * distances.mean()
