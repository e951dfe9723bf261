"""Concatenation of a vector as constant maps (Mirza and Osindero 2014, arXiv 1411.1784; Radford et al. 2016)."""

from typing import ClassVar

from torch import Tensor

from stylegen.layers.conditioning.base import Affine, Conditioning
from stylegen.layers.equalized import EqualizedLinear


class Concatenation(Conditioning):
    """The 1x1 convolution of [x; vector at every pixel], which is a shift: V [x; w] = V_x x + V_w w.

    V_x mixes channels as the 3x3 convolution behind it does anyway, and is left out; V_w w + b is what the
    concatenation adds. So it is FiLM without scale, and there is no normalisation.

    Args:
        channels: C of x.
        condition_dim: D of the vector.

    Shape: x [N, C, H, W], vector [N, D] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "vector"

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.affine = EqualizedLinear(condition_dim, channels)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(x.new_zeros(self.channels), self.affine(condition))
