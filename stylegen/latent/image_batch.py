"""The images that `stylegen.Model` returns."""

import io
import math
from pathlib import Path

import torch
from torch import Tensor

from stylegen.images import make_grid, to_pil, write_png
from stylegen.latent.seeds import positive


class Images(Tensor):
    """uint8 images [N, C, H, W] in [0, 255]: a tensor that notebooks show as a grid.

    Operations return plain tensors.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def grid(self, columns: int | None = None) -> Tensor:
        """uint8 [C, H, W]: the images row by row, in a square by default."""
        columns = math.ceil(math.sqrt(len(self))) if columns is None else positive("columns", columns)
        return make_grid(self.as_subclass(Tensor).cpu(), columns)

    def save(self, path: str | Path, columns: int | None = None, scale: int = 1) -> Path:
        """Write the grid as PNG, each pixel as a square of `scale` pixels -> the path, without `~`."""
        path = Path(path).expanduser()
        write_png(path, self.grid(columns), positive("scale", scale))
        return path

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        to_pil(self.grid()).save(data, format="PNG")
        return data.getvalue()
