"""One contract for every way in which something steers feature maps by scaling and shifting them."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from stylegen.errors import UserError


class Affine(NamedTuple):
    """What modulates: scale and shift, each [N, C] (a sample's own) or [C] (alike for all)."""

    scale: Tensor
    shift: Tensor


def modulate(x: Tensor, affine: Affine) -> Tensor:
    """x * (1 + scale) + shift: [N, C, H, W] -> [N, C, H, W]. Zero scale and shift change nothing."""
    scale, shift = (v.to(x.dtype)[..., None, None] for v in affine)
    return x * (1 + scale) + shift


class Conditioning(nn.Module, ABC):
    """y = normalize(x), then y * (1 + scale) + shift.

    A family is a subclass that says how it normalises and where scale and shift come from; its constructor takes
    (channels, condition_dim). With zero affine weights it is its normalisation alone.

    Attributes:
        kind: of condition that `forward` takes: "none"; "index", int64 [N] into a table of `condition_dim` styles, or
            a mixture of them, float [N, condition_dim]; "vector", [N, condition_dim].
        needs_batch: it normalises by statistics of the batch while it trains, so that a batch is not to be split.
    """

    kind: ClassVar[str]
    needs_batch: ClassVar[bool] = False

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.channels, self.condition_dim = channels, condition_dim

    def normalize(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]; by default nothing."""
        return x

    @abstractmethod
    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine | None:
        """Scale and shift for the normalised x and this condition; None where there are none."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """x [N, C, H, W] and a condition of this `kind` -> [N, C, H, W]."""
        x = self.normalize(x)
        affine = self.affine_of(x, condition)
        return x if affine is None else modulate(x, affine)


class Unconditional(Conditioning):
    """A normalisation with a scale and a shift of its own for each channel, zeros at first."""

    kind: ClassVar[str] = "none"

    def __init__(self, channels: int, condition_dim: int = 0) -> None:
        super().__init__(channels, condition_dim)
        self.scale, self.shift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def affine_of(self, x: Tensor, condition: Tensor | None) -> Affine:
        return Affine(self.scale, self.shift)


class StyleTable(nn.Module):
    """A table of S styles, each a scale and a shift for every channel; zeros at first.

    Convex mixtures of styles are those of their rows (Dumoulin et al. 2017, arXiv 1610.07629, section 3.2), so scale
    and shift are linear in the weights.

    Args:
        num_styles: S; channels: C.

    Shape: int64 [N] or weights [N, S] -> scale and shift [N, C].

    Raises:
        UserError: a table without styles, or an index outside it.
    """

    def __init__(self, num_styles: int, channels: int) -> None:
        super().__init__()
        if num_styles < 1:
            raise UserError(
                f"a table of {num_styles} styles",
                rule="styles are chosen by class, and there are none",
                fix="Use data.use_labels=true with data that have labels, or a conditioning that takes w, as adain",
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
