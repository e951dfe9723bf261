"""WGAN-div (Wu et al. 2018, arXiv 1712.01026)."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from stylegen.bounds import Choice, Interval, Range, Weight, check_arguments
from stylegen.randomness import Request
from stylegen.regularizers.gradient_penalty import INTERPOLATED, SHARE, interpolated, squared_gradients
from stylegen.regularizers.regularizer import CriticBatch, Regularizer

POINTS = ("interpolated", "ends")


class WGANDiv(Regularizer):
    """k * E || grad_x D(x) ||^p, without a target norm. Norms refer to full-size images while networks grow; see `R1`.

    Args:
        k: factor of the term.
        p: exponent; below 2 the derivative at a zero gradient is infinite.
        points: "interpolated", x = s * real + (1 - s) * fake with s ~ U[0, 1), as in the paper; or "ends", the mean of
            the terms for real and for generated images, as in a widespread implementation.
        every: see `Regularizer`.

    Raises:
        UserError: if a value is out of bounds.
    """

    network = "D"
    sources = ("fake", "real")

    def __init__(
        self,
        k: Weight = 2.0,
        p: Annotated[float, Range(2, 16)] = 6.0,
        points: Annotated[str, Choice(POINTS)] = "interpolated",
        every: Interval = 1,
    ) -> None:
        check_arguments("regularizers.wgan_div", WGANDiv, locals())
        super().__init__(every)
        self.k, self.p, self.points = k, p, points
        if points == "ends":
            self.differentiates = ("fake", "real")
        else:
            self.views = self.differentiates = (INTERPOLATED,)

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        return SHARE if self.points == "interpolated" else {}

    def measure(self, batch: CriticBatch) -> Tensor:
        """[N], or [N, 2] for real and generated images."""
        if self.points == "interpolated":
            return squared_gradients(*interpolated(batch), batch.downscale)
        pairs = ((batch.images(source), batch.outputs(source).logits) for source in ("real", "fake"))
        return torch.stack([squared_gradients(*pair, batch.downscale) for pair in pairs], dim=1)

    def combine(self, squares: Tensor) -> Tensor:
        return self.k * squares.pow(self.p / 2).mean()
