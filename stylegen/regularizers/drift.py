"""Drift (Karras et al. 2018, arXiv 1710.10196, appendix A.1): keeps the logits of real images near 0."""

from torch import Tensor

from stylegen.bounds import Interval, Weight, check_arguments
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


class Drift(Regularizer):
    """weight * E D(x)^2 over real x. A Wasserstein loss does not depend on the mean of the logits, which then drifts.

    Args:
        weight: factor of the term, epsilon.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"

    def __init__(self, weight: Weight = 0.001, every: Interval = 1) -> None:
        check_arguments("regularizers.drift", Drift, locals())
        super().__init__(every)
        self.weight = weight

    def measure(self, batch: CriticBatch) -> Tensor:
        return batch.outputs("real").logits

    def combine(self, logits: Tensor) -> Tensor:
        return self.weight * logits.square().mean()
