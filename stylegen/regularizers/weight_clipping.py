"""Weight clipping (Arjovsky et al. 2017, arXiv 1701.07875, algorithm 1)."""

from typing import Annotated

import torch
from torch import nn

from stylegen.bounds import Range, check_arguments
from stylegen.regularizers.regularizer import Constraint
from stylegen.regularizers.scaled_weights import scaled_parameters


class WeightClipping(Constraint):
    """w <- clip(w, -limit, limit) for every parameter of D after each of its optimizer steps.

    w is the weight that a layer applies, after the scale of the equalized learning rate.

    Args:
        limit: c, the clipping limit.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"

    def __init__(self, limit: Annotated[float, Range(1e-6, 1e3)] = 0.01) -> None:
        check_arguments("regularizers.weight_clipping", WeightClipping, locals())
        super().__init__()
        self.limit = limit

    @torch.no_grad()
    def end_step(self, network: nn.Module) -> None:
        for parameter, gain in scaled_parameters(network):
            parameter.clamp_(-self.limit / gain, self.limit / gain)
