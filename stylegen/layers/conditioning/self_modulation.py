"""Self-modulation (Chen et al. 2019, arXiv 1810.01365, Eq. 2 to 4): batch normalisation steered by the latent."""

from typing import ClassVar

from torch import Tensor, nn

from stylegen.layers.conditioning.base import Affine, Conditioning
from stylegen.layers.conditioning.batch_norm import BatchStatistics
from stylegen.layers.equalized import EqualizedLinear


class SelfModulation(Conditioning):
    """batch_norm(x) * (1 + scale(z)) + shift(z), each a small network: linear, ReLU, linear.

    The paper hands in z, or z and a class embedding side by side; any vector does.

    Args:
        channels: C of x.
        condition_dim: D of the vector.
        hidden_dim: width of the hidden layers; 0 for linear heads.

    Shape: x [N, C, H, W], vector [N, D] -> [N, C, H, W].
    """

    kind: ClassVar[str] = "vector"
    needs_batch: ClassVar[bool] = True

    def __init__(self, channels: int, condition_dim: int, hidden_dim: int = 32) -> None:
        super().__init__(channels, condition_dim)
        self.statistics = BatchStatistics(channels)
        self.scale, self.shift = (_head(condition_dim, hidden_dim, channels) for _ in range(2))

    def normalize(self, x: Tensor) -> Tensor:
        return self.statistics(x)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(self.scale(condition), self.shift(condition))


def _head(in_dim: int, hidden_dim: int, out_dim: int) -> nn.Module:
    if hidden_dim == 0:
        return EqualizedLinear(in_dim, out_dim)
    return nn.Sequential(EqualizedLinear(in_dim, hidden_dim, "relu"), EqualizedLinear(hidden_dim, out_dim))
