"""Conditional batch normalisation: by a class (de Vries et al. 2017, arXiv 1707.00683), or by a vector as in BigGAN
(Brock et al. 2019, arXiv 1809.11096, appendix B)."""

from typing import ClassVar

from torch import Tensor

from stylegen.layers.conditioning.base import Affine, Conditioning, StyleTable
from stylegen.layers.conditioning.batch_norm import BatchStatistics
from stylegen.layers.equalized import EqualizedLinear


class ClassBatchNorm(Conditioning):
    """batch_norm(x) * (1 + scale) + shift, both a row of a table, chosen by class.

    Args:
        channels: C of x.
        condition_dim: number of classes.

    Shape: x [N, C, H, W], class int64 [N] or mixture [N, classes] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "index"
    needs_batch: ClassVar[bool] = True

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.statistics, self.table = BatchStatistics(channels), StyleTable(condition_dim, channels)

    def normalize(self, x: Tensor) -> Tensor:
        return self.statistics(x)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return self.table(condition)


class BatchFiLM(Conditioning):
    """batch_norm(x) * (1 + scale) + shift, both linear in a vector: BigGAN's 1 + W [z chunk; class embedding].

    BigGAN normalises W spectrally; here it has an equalised learning rate and a bias, as all heads of this family.

    Args:
        channels: C of x.
        condition_dim: D of the vector.

    Shape: x [N, C, H, W], vector [N, D] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "vector"
    needs_batch: ClassVar[bool] = True

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.statistics, self.affine = BatchStatistics(channels), EqualizedLinear(condition_dim, 2 * channels)

    def normalize(self, x: Tensor) -> Tensor:
        return self.statistics(x)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(*self.affine(condition).chunk(2, dim=1))
