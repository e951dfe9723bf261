"""Conditional instance normalisation (Dumoulin et al. 2017, arXiv 1610.07629, Eq. 5): a table of styles."""

from typing import ClassVar

from torch import Tensor

from stylegen.layers.conditioning.base import Affine, Conditioning, StyleTable
from stylegen.layers.conditioning.instance_norm import instance_norm


class ConditionalInstanceNorm(Conditioning):
    """instance_norm(x) * (1 + scale_s) + shift_s, row s of a table; or a mixture of rows, by its weights.

    Args:
        channels: C of x.
        condition_dim: number of styles S.

    Shape: x [N, C, H, W], s int64 [N] or weights [N, S] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "index"

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.table = StyleTable(condition_dim, channels)

    def normalize(self, x: Tensor) -> Tensor:
        return instance_norm(x, eps=1e-5)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return self.table(condition)
