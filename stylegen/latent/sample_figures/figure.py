"""A figure of generated images with seeds, psi and layers along its edges."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stylegen.captions import Captions, add_captions
from stylegen.errors import UserError
from stylegen.images import MAX_FIGURE_PIXELS, PADDING, enlarged, make_grid, save_png
from stylegen.latent.sampler import Sampler


@dataclass(frozen=True)
class Cells:
    """The images of a figure.

    Args:
        images: uint8 [N, C, H, W], row by row.
        columns: number of columns.
        captions: labels of rows, columns or images, and a note.
    """

    images: Tensor
    columns: int
    captions: Captions


@dataclass(frozen=True, kw_only=True)
class Figure(ABC):
    """A grid of images.

    Args:
        seeds: one per row, or one per image of a grid.
        captions: print seeds, psi and layers along the edges.
    """

    seeds: list[int]
    captions: bool = True

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Rows and columns of images in memory."""

    @abstractmethod
    def cells(self, sampler: Sampler) -> Cells:
        """Sample the images."""

    def check_size(self, side: int) -> None:
        """Raise UserError for a figure that is too large for memory or PNG viewers, with cells of `side` pixels."""
        rows, columns = self.size
        pixels = rows * columns * side**2
        if pixels > MAX_FIGURE_PIXELS:
            raise UserError(
                f"a figure of {len(self.seeds)} seeds, {columns} columns and images of {side} px",
                rule=f"it has {pixels / 1e6:,.0f} million pixels, more than {MAX_FIGURE_PIXELS / 1e6:,.0f}",
                fix="Use fewer seeds or columns, scale=1, or mode=images",
            )

    def write(self, sampler: Sampler, scale: int, path: Path) -> None:
        """Sample the figure and write it as PNG, each pixel as a square of `scale` pixels."""
        cells = self.cells(sampler)
        image = enlarged(make_grid(cells.images, cells.columns), scale)
        if self.captions:
            image = add_captions(image, cells.images.shape[-1] * scale, PADDING * scale, cells.captions)
        save_png(image, path)

    @property
    def seed_rows(self) -> list[str]:
        """Labels of rows."""
        return [f"seed {seed}" for seed in self.seeds]


def range_text(numbers: Sequence[int]) -> str:
    """Consecutive numbers as settings take them: "0-7", or "3"."""
    return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def sampling_text(sampler: Sampler, psi: bool = True, noise: bool = True, labels: bool = True) -> str:
    """The settings of the sampler that change the images: "psi 0.7, truncation in the first 4 layers, class 2"."""
    parts = [f"psi {sampler.psi:g}"] if psi else []
    if sampler.cutoff is not None:
        parts += [f"truncation in the first {sampler.cutoff} layers"]
    parts += ["truncation toward the class"] * (sampler.centers is not None)
    parts += [str(sampler.labels)] * (labels and bool(str(sampler.labels)))
    parts += [f"noise {sampler.noise}"] * (noise and sampler.noise != "const")
    parts += ["moved"] * (sampler.motion is not None)
    if isinstance(sampler.seed_source, Tensor):
        parts.append("numbers of latents")
    elif sampler.seed_source == "numpy":
        parts.append("NumPy's seeds")
    return ", ".join(parts)
