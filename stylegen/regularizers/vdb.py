"""Variational discriminator bottleneck (Peng et al. 2019, arXiv 1810.00821, Eq. 9 and 10)."""

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from stylegen.bounds import Interval, Range, Weight, check_arguments
from stylegen.regularizers.regularizer import CriticBatch, Regularizer


class VDB(Regularizer):
    """beta * (K - limit), K = (E KL(x) + E KL(x')) / 2 over real x and generated x'.

    KL(x) is the Kullback-Leibler divergence of the discriminator's bottleneck from its prior. beta is a Lagrange
    multiplier, updated by dual gradient ascent after each evaluation: beta <- max(0, beta + rate * (K - limit)).

    Args:
        limit: I_c, in nats for the code of an image; the authors' 0.1 is for each of 4x4 positions.
        beta: initial value of beta.
        rate: alpha_beta, the step size of beta's dual ascent.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.

    The buffer `beta` [] is training state.
    """

    network = "D"
    coupled = True  # by beta
    sources = ("fake", "real")
    needs = ("divergence",)
    beta: Tensor

    def __init__(
        self,
        limit: Weight = 0.1,
        beta: Weight = 0.1,
        rate: Annotated[float, Range(0, 1)] = 1e-5,
        every: Interval = 1,
    ) -> None:
        check_arguments("regularizers.vdb", VDB, locals())
        super().__init__(every)
        self.limit, self.rate = limit, rate
        self.register_buffer("beta", torch.full((), float(beta)))

    def measure(self, batch: CriticBatch) -> tuple[Tensor, ...]:
        found = tuple(batch.outputs(source).divergence for source in ("real", "fake"))
        assert None not in found, "the discriminator has no bottleneck"  # refused when the settings are checked
        return tuple(value.to(torch.promote_types(value.dtype, torch.float32)) for value in found if value is not None)

    def combine(self, real: Tensor, fake: Tensor) -> Tensor:
        excess = (real.mean() + fake.mean()) / 2 - self.limit
        beta = self.beta.clone()
        updated = (beta + self.rate * excess.detach().to(beta.dtype)).clamp(min=0)
        self.beta.copy_(torch.where(updated.isfinite(), updated, beta))  # skip a step with non-finite divergences
        return beta * excess

    def reports(self) -> Mapping[str, Tensor]:
        return {"reg/vdb_beta": self.beta.clone()}
