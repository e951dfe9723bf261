"""Adaptive instance normalisation (Huang and Belongie 2017, arXiv 1703.06868), as StyleGAN learns it from w
(Karras et al. 2019, arXiv 1812.04948, Eq. 1)."""

from typing import ClassVar

from torch import Tensor

from stylegen.layers.conditioning.base import Affine, Conditioning
from stylegen.layers.conditioning.instance_norm import instance_norm
from stylegen.layers.equalized import EqualizedLinear


class AdaIN(Conditioning):
    """instance_norm(x) * (1 + scale) + shift with (scale, shift) = A(w).

    Eq. 1 writes y_s and y_b; y_s = 1 + scale, so that A starts, with its bias of zero, at y_s = 1.

    Args:
        channels: C of x.
        condition_dim: D of w.

    Shape: x [N, C, H, W], w [N, D] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "vector"

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.affine = EqualizedLinear(condition_dim, 2 * channels)

    def normalize(self, x: Tensor) -> Tensor:
        return instance_norm(x)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        assert condition is not None
        scale, shift = self.affine(condition).chunk(2, dim=1)
        return Affine(scale, shift)
