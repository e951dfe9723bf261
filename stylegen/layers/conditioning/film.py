"""Feature-wise linear modulation (Perez et al. 2018, arXiv 1709.07871, Eq. 2): a vector scales and shifts every map.

FiLM itself does not normalise. Its paper puts it behind a batch normalisation without affine
(`conditional_batch_norm.BatchFiLM`); here it also stands behind the others, and in halves.
"""

from typing import ClassVar

from torch import Tensor

from stylegen.layers.conditioning.base import Affine, Conditioning
from stylegen.layers.conditioning.instance_norm import instance_norm
from stylegen.layers.conditioning.layer_norm import layer_norm
from stylegen.layers.equalized import EqualizedLinear


class FiLM(Conditioning):
    """x * (1 + scale) + shift with (scale, shift) linear in a vector, and no normalisation at all.

    Nothing holds the features' size: with unit scales and shifts each layer about doubles their variance.

    Args:
        channels: C of x.
        condition_dim: D of the vector.

    Shape: x [N, C, H, W], vector [N, D] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "vector"

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.affine = EqualizedLinear(condition_dim, 2 * channels)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(*self.affine(condition).chunk(2, dim=1))


class InstanceFiLM(FiLM):
    """FiLM of the instance-normalised x: AdaIN's formula, with the eps of 1e-5 that is usual outside StyleGAN."""

    def normalize(self, x: Tensor) -> Tensor:
        return instance_norm(x, eps=1e-5)


class LayerFiLM(FiLM):
    """FiLM of the layer-normalised x."""

    def normalize(self, x: Tensor) -> Tensor:
        return layer_norm(x)


class _HalfOfFiLM(Conditioning):
    """One head of the two, behind an instance normalisation."""

    kind: ClassVar[str] = "vector"

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__(channels, condition_dim)
        self.affine = EqualizedLinear(condition_dim, channels)

    def normalize(self, x: Tensor) -> Tensor:
        return instance_norm(x, eps=1e-5)


class ScaleOnly(_HalfOfFiLM):
    """instance_norm(x) * (1 + scale), the scale linear in a vector: x [N, C, H, W], [N, D] -> [N, C, H, W]."""

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(self.affine(condition), x.new_zeros(self.channels))


class ShiftOnly(_HalfOfFiLM):
    """instance_norm(x) + shift, the shift linear in a vector: x [N, C, H, W], [N, D] -> [N, C, H, W]."""

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(x.new_zeros(self.channels), self.affine(condition))
