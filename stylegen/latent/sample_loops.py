"""Looping animations: each tile walks a closed curve through the w of its seeds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from stylegen.animation import MAX_SIDE, frame_times, write_animation
from stylegen.errors import UserError
from stylegen.images import PADDING, enlarged, make_grid
from stylegen.latent.interpolation import closed_cubic
from stylegen.latent.sampler import Sampler

MAX_PIXELS = 2**27  # of all frames, which are in memory at once


@dataclass(frozen=True)
class SampleLoops:
    """An animation without an end. Tile i walks from seed to seed in part i of the seeds, then back to its first one.

    The curve in w is `interpolation.closed_cubic`: frames at a seed are the image of that seed, and the velocity is
    continuous there. Random noise is that of the tile's first seed in all frames.

    Args:
        seeds: of all tiles.
        tiles: number of tiles, each with as many seeds.
        columns: of the tiles; None for a square.
        frames: from one seed to the next.
        fps: frames per second.

    Raises:
        UserError: seeds that cannot be divided, or a tile with fewer than two.
    """

    seeds: list[int]
    tiles: int
    columns: int | None
    frames: int
    fps: float

    def __post_init__(self) -> None:
        if len(self.seeds) % self.tiles or len(self.seeds) < 2 * self.tiles:
            raise UserError(
                f"mode=video with {len(self.seeds)} seeds for {self.tiles} tile{'s' * (self.tiles > 1)}",
                rule="each tile walks through the same number of seeds, at least two",
                fix=f"Use seeds=0-{4 * self.tiles - 1} for four in each",
            )

    @property
    def length(self) -> int:
        """Number of frames of the loop."""
        return len(self.seeds) // self.tiles * self.frames

    @property
    def _columns(self) -> int:
        return min(self.columns or math.ceil(math.sqrt(self.tiles)), self.tiles)

    def check_size(self, side: int) -> None:
        """Raise UserError for an animation that is too large for memory or its format, with images of `side` pixels."""
        columns, rows = self._columns, -(-self.tiles // self._columns)
        pixels, longest = columns * rows * side**2 * self.length, max(columns, rows) * (side + PADDING)
        if pixels > MAX_PIXELS or longest > MAX_SIDE:
            raise UserError(
                f"mode=video with {self.length} frames of {columns}x{rows} images of {side} px",
                rule=f"an animation has at most {MAX_PIXELS / 1e6:,.0f} million pixels in all frames together, and "
                f"{MAX_SIDE:,} on a side",
                fix="Use fewer seeds, frames or tiles, or scale=1",
            )

    def write(self, sampler: Sampler, scale: int, path: Path) -> None:
        """Write a WebP or GIF by the suffix of `path`, each pixel as a square of `scale` pixels."""
        frames: list[Image.Image] = [enlarged(frame, scale) for frame in self.generate(sampler)]
        write_animation(path, frames, frame_times(len(frames), self.fps, path.suffix))

    def generate(self, sampler: Sampler) -> Iterator[Tensor]:
        """The frames, uint8 [C, H, W]."""
        ws = sampler.ws(self.seeds).unflatten(0, (self.tiles, -1)).transpose(0, 1)  # [K, tiles, L, D]
        t = torch.arange(self.length, device=ws.device, dtype=ws.dtype) / self.frames
        noise_seeds = self.seeds[:: len(self.seeds) // self.tiles]
        for part in t.split(max(1, sampler.batch_size // self.tiles)):
            path = closed_cubic(ws, part).flatten(0, 1)  # [frames * tiles, L, D]
            images = sampler.render(path, noise_seeds * len(part))
            yield from (make_grid(frame, self._columns) for frame in images.unflatten(0, (-1, self.tiles)).cpu())
