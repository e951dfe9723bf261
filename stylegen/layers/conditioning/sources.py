"""Sources of the affine: where the scale and shift behind a normalization come from.

A source is a subclass of `Conditioning`. Its parameters are attributes of the layer itself, so the normalization does
not change a state dict's keys except for its own, `statistics.*`.

Letters: N batch, C channels, H W space, D width of the condition.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from stylegen.errors import UserError
from stylegen.layers.equalized import EqualizedLinear


class Affine(NamedTuple):
    """Scale and shift, each [N, C] (per sample) or [C] (shared by the batch)."""

    scale: Tensor
    shift: Tensor


def modulate(x: Tensor, affine: Affine) -> Tensor:
    """x * (1 + scale) + shift: [N, C, H, W] -> [N, C, H, W]. Zero scale and shift are the identity."""
    scale, shift = (v.to(x.dtype)[..., None, None] for v in affine)
    return x * (1 + scale) + shift


class Conditioning(nn.Module, ABC):
    """y = normalize(x), then y * (1 + scale) + shift. With zero affine weights, the normalization alone.

    Args:
        normalization: [N, C, H, W] -> [N, C, H, W].
        channels: C of x.
        condition_dim: D of the condition.

    Attributes:
        kind: the condition that `forward` takes: "vector", float [N, D]; "index", int64 [N] with values in [0, D), or
            weights of a mixture of classes, float [N, D]; "none".

    Shape: x [N, C, H, W], condition as above -> [N, C, H, W].
    """

    kind: ClassVar[str]

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.channels, self.condition_dim = channels, condition_dim
        self.statistics = normalization  # the name of batch normalization's buffers in snapshots

    def normalize(self, x: Tensor) -> Tensor:
        return self.statistics(x)

    @abstractmethod
    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine | None:
        """Scale and shift for the normalized x and its condition; None for the identity."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.normalize(x)
        affine = self.affine_of(x, condition)
        return x if affine is None else modulate(x, affine)


class NoAffine(Conditioning):
    """The normalization alone."""

    kind: ClassVar[str] = "none"

    def affine_of(self, x: Tensor, condition: Tensor | None) -> None:
        return None


class LearnedAffine(Conditioning):
    """A learned scale and shift for each channel, initialized to zero.

    Per channel for every normalization, so that feature maps may have any size; `torch.nn.LayerNorm` has one per
    element.
    """

    kind: ClassVar[str] = "none"

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__(normalization, channels, condition_dim)
        self.scale, self.shift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(self.scale, self.shift)


class VectorAffine(Conditioning):
    """(scale, shift) = A(w), linear in the vector w [N, D], with equalized learning rate and zero bias.

    StyleGAN's Eq. 1 writes y_s and y_b; y_s = 1 + scale. FiLM's gamma is 1 + scale too.
    """

    kind: ClassVar[str] = "vector"
    outputs: ClassVar[int] = 2  # per channel

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__(normalization, channels, condition_dim)
        self.affine = EqualizedLinear(condition_dim, self.outputs * channels)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(*self.affine(condition).chunk(2, dim=1))


class VectorScale(VectorAffine):
    """scale = A(w), shift = 0."""

    outputs: ClassVar[int] = 1

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(self.affine(condition), x.new_zeros(self.channels))


class VectorShift(VectorAffine):
    """scale = 0, shift = A(w).

    Without a normalization this is concatenation: the 1x1 convolution of [x; w at every pixel] is V [x; w] =
    V_x x + V_w w. V_x mixes channels, as the next 3x3 convolution does anyway, and is left out.
    """

    outputs: ClassVar[int] = 1

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(x.new_zeros(self.channels), self.affine(condition))


class SelfModulation(Conditioning):
    """Scale and shift by one MLP each (Chen et al. 2019, arXiv 1810.01365, Eq. 2 to 4): linear, ReLU, linear.

    The paper's condition is z, or z with a class embedding.
    """

    kind: ClassVar[str] = "vector"
    hidden_dim: ClassVar[int] = 32

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__(normalization, channels, condition_dim)
        self.scale, self.shift = (
            nn.Sequential(
                EqualizedLinear(condition_dim, self.hidden_dim, "relu"), EqualizedLinear(self.hidden_dim, channels)
            )
            for _ in range(2)
        )

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(self.scale(condition), self.shift(condition))


class VectorSqueezeExcitation(Conditioning):
    """Gate g = 2 sigmoid(W2 relu(W1 [mean of x over pixels; w])) (Hu et al. 2018, arXiv 1709.01507, Eq. 2 to 4).

    The paper's gate has no factor of 2. With it zero weights give g = 1, and the next convolution can undo it. In
    this vocabulary 1 + scale = g, so scale = tanh(u / 2) with u the argument of the sigmoid.

    The hidden layer has C / 16 units, but at least 4.
    """

    kind: ClassVar[str] = "vector"
    reduction: ClassVar[int] = 16  # the paper's r
    min_hidden_dim: ClassVar[int] = 4

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__(normalization, channels, condition_dim)
        hidden_dim = max(channels // self.reduction, self.min_hidden_dim)
        self.squeeze = EqualizedLinear(channels + condition_dim, hidden_dim, "relu")
        self.excite = EqualizedLinear(hidden_dim, channels)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        # The mean of many half-precision values loses bits.
        features = x.to(torch.promote_types(x.dtype, torch.float32)).mean(dim=(2, 3))
        if condition is not None:
            features = torch.cat([features, condition.to(features.dtype)], dim=1)
        u = self.excite(self.squeeze(features))
        return Affine((u / 2).tanh(), x.new_zeros(self.channels))


class SqueezeExcitation(VectorSqueezeExcitation):
    """Gate g = 2 sigmoid(W2 relu(W1 mean of x over pixels)), unconditional."""

    kind: ClassVar[str] = "none"

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__(normalization, channels, 0)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return super().affine_of(x, None)


class StyleTable(nn.Module):
    """A scale and a shift for every channel and each of S styles, initialized to zero.

    A convex mixture of styles is the mixture of their rows (Dumoulin et al. 2017, arXiv 1610.07629, section 3.2).

    Args:
        num_styles: S.
        channels: C.

    Shape: int64 [N] or weights [N, S] -> scale and shift [N, C].

    Raises:
        UserError: no styles, or an index out of range.
    """

    def __init__(self, num_styles: int, channels: int) -> None:
        super().__init__()
        if num_styles < 1:
            raise UserError(
                f"a table of {num_styles} styles",
                rule="a class-conditional layer needs at least one class",
                fix="Use data.use_labels=true with a labeled dataset, or generator.conditioning=adain",
            )
        self.num_styles = num_styles
        self.weight = nn.Parameter(torch.zeros(num_styles, 2 * channels))

    def forward(self, condition: Tensor | None) -> Affine:
        assert condition is not None
        if condition.is_floating_point():
            rows = condition @ self.weight.to(condition.dtype)
        else:
            self._check(condition)
            rows = self.weight[condition]
        return Affine(*rows.chunk(2, dim=1))

    def _check(self, index: Tensor) -> None:
        outside = index[(index < 0) | (index >= self.num_styles)]
        if len(outside):
            raise UserError(
                f"style index {int(outside[0])}",
                rule=f"the table holds the styles 0 to {self.num_styles - 1}",
                fix=f"Use class=0 to class={self.num_styles - 1}",
            )


class ClassTable(Conditioning):
    """Scale and shift from row s of a table, s the class; or from a mixture of rows."""

    kind: ClassVar[str] = "index"

    def __init__(self, normalization: nn.Module, channels: int, condition_dim: int) -> None:
        super().__init__(normalization, channels, condition_dim)
        self.table = StyleTable(condition_dim, channels)

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return self.table(condition)
