"""Videos: each tile walks through the w of its seeds. MP4, with sound, or animated WebP and GIF."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from stylegen import animation, video_file
from stylegen.errors import UserError
from stylegen.images import PADDING, enlarged, make_grid
from stylegen.latent.interpolation import cubic
from stylegen.latent.motion import frame_motions
from stylegen.latent.sampler import Sampler
from stylegen.latent.timing import Timing
from stylegen.progress import show_progress

MAX_PIXELS = 2**27  # of all frames of an animation, which are in memory at once
SUFFIXES = (*animation.SUFFIXES, video_file.SUFFIX)


@dataclass(frozen=True)
class SampleVideo:
    """A walk. Tile i goes from seed to seed in part i of the seeds, and back to its first one if the walk is closed.

    The curve in w is `interpolation.cubic`: frames at a seed are the image of that seed, and the velocity is continuous
    there. Random noise is keyed by the tile's first seed in all frames.

    Args:
        seeds: each tile's seeds, tile after tile.
        tiles: number of tiles, each with as many seeds.
        columns: number of tiles side by side; None for a square.
        timing: frames per second, and the frame of each seed.
        suffix: type of the file, in `SUFFIXES`.
        motion: kind and size of the frames' motion, see `latent.motion.frame_motions`; with it, one seed per tile is
            enough for a loop.

    Raises:
        UserError: seeds that cannot be divided, a tile with fewer than two, or a timing that does not fit them.
    """

    seeds: list[int]
    tiles: int
    columns: int | None
    timing: Timing
    suffix: str
    motion: tuple[str, float] | None = None

    def __post_init__(self) -> None:
        least = 1 if self.motion and self.timing.closed else 2
        if len(self.seeds) % self.tiles or len(self.seeds) < least * self.tiles:
            raise UserError(
                f"mode=video with {len(self.seeds)} seeds for {self.tiles} tile{'s' * (self.tiles > 1)}",
                rule=f"each tile walks through the same number of seeds, at least {('one', 'two')[least - 1]}",
                fix=f"Use seeds=0-{4 * self.tiles - 1} for four in each",
            )
        self.timing.keys(self._stops)

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.timing.length(self._stops)

    @property
    def _stops(self) -> int:
        """Seeds of a tile."""
        return len(self.seeds) // self.tiles

    @property
    def _columns(self) -> int:
        return min(self.columns or math.ceil(math.sqrt(self.tiles)), self.tiles)

    def check_size(self, side: int) -> None:
        """Raise UserError if the file cannot hold frames with images of `side` pixels, or cannot be encoded."""
        columns, rows = self._columns, -(-self.tiles // self._columns)
        pixels, longest = columns * rows * side**2 * self.length, max(columns, rows) * (side + PADDING)
        what = f"mode=video with {self.length} frames of {columns}x{rows} images of {side} px"
        if self.suffix == video_file.SUFFIX:
            video_file.find_encoder()
            if longest > video_file.MAX_SIDE:
                rule = f"an MP4 has at most {video_file.MAX_SIDE:,} pixels on a side"
                raise UserError(what, rule=rule, fix="Use fewer tiles, or scale=1")
        elif pixels > MAX_PIXELS or longest > animation.MAX_SIDE:
            raise UserError(
                what,
                rule=f"an animation has at most {MAX_PIXELS / 1e6:,.0f} million pixels in all frames together, and "
                f"{animation.MAX_SIDE:,} on a side",
                fix="Use out=FILE.mp4, fewer seeds, frames or tiles, or scale=1",
            )
        elif self.timing.fps > animation.MAX_FPS:
            rule = f"an animation has at most {animation.MAX_FPS} frames per second"
            raise UserError(f"fps={self.timing.fps:g}", rule=rule, fix=f"Use fps={animation.MAX_FPS} or out=FILE.mp4")

    def write(self, sampler: Sampler, scale: int, path: Path) -> None:
        """Write a file in the format of `suffix`, each pixel as a square of `scale` pixels."""
        frames = (enlarged(frame, scale) for frame in show_progress(self.generate(sampler), "frames", self.length))
        if self.suffix == video_file.SUFFIX:
            audio = self.timing.sound.audio if self.timing.sound else None
            video_file.write_video(path, frames, self.timing.rate, audio)
        else:
            kept: list[Image.Image] = list(frames)
            durations = animation.frame_times(len(kept), self.timing.fps, self.suffix)
            animation.write_animation(path, kept, durations, self.suffix, endless=self.timing.closed)

    def generate(self, sampler: Sampler) -> Iterator[Tensor]:
        """The frames, uint8 [C, H, W], a batch at a time."""
        ws = sampler.truncated_ws(self.seeds).unflatten(0, (self.tiles, -1)).transpose(0, 1)  # [K, tiles, L, D]
        keys = torch.tensor(self.timing.keys(self._stops), dtype=torch.float64)
        times = torch.from_numpy(self.timing.times(self._stops))
        noise_seeds = self.seeds[:: self._stops]
        moved = None if self.motion is None else frame_motions(*self.motion, self.length, self.timing.closed)
        for frames in torch.arange(self.length).split(max(1, sampler.batch_size // self.tiles)):
            path = cubic(ws, keys, times[frames]).flatten(0, 1)  # [frames * tiles, L, D]
            motions = None if moved is None else moved[frames].repeat_interleave(self.tiles, dim=0)
            images = sampler.render(path, noise_seeds * len(frames), psi=1, motions=motions)
            yield from (make_grid(frame, self._columns) for frame in images.unflatten(0, (-1, self.tiles)).cpu())
