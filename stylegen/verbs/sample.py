"""Sample images from a snapshot: single images, a figure, or a looping animation."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stylegen.checkpoints.packaged import is_packaged
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.cpus import use_default_threads
from stylegen.latent.sample_images import LATENTS, SampleImages
from stylegen.latent.seeds import parse_seeds
from stylegen.placement import place
from stylegen.verbs.outputs import find_output
from stylegen.verbs.sample_modes import choose_output
from stylegen.verbs.sample_motion import check_mode
from stylegen.verbs.sample_source import build_sampler, identity, with_defaults

NEXT = """
next:
  python sample.py mode=mixing seeds=0-4 mix_seeds=10-16
  python sample.py mode=video seeds=0-7 out=walk.webp
  python train.py data.path=FOLDER"""
FIGURE_CELL_PX = 64  # figures enlarge smaller images to this size


@dataclass(frozen=True)
class SampleResult:
    """The files written, the number and scale of the images, whether z is NumPy's, and what to try next."""

    paths: list[Path]
    count: int
    resolution: int
    scale: int
    numpy_seeds: bool = False
    hints: str = ""

    def __str__(self) -> str:
        size = f"{self.resolution}x{self.resolution} px, scale {self.scale}" + ", NumPy's seeds" * self.numpy_seeds
        if self.scale == 1 and self.resolution < FIGURE_CELL_PX:
            size += f"; scale={FIGURE_CELL_PX // self.resolution} enlarges them"
        count = "" if self.count == 1 else f"{self.count} images in "
        return f"{count}{self.paths[0] if len(self.paths) == 1 else self.paths[0].parent} ({size}){self.hints}"


def run(settings: SampleSettings) -> SampleResult:
    """Load the snapshot, sample, write images, a figure or a video.

    Raises:
        UserError: a bad snapshot, seed, layer, class, or an output that cannot be written.
    """
    use_default_threads()
    parse_seeds(settings.seeds)
    snapshot = load_snapshot(settings.snapshot)
    packaged = is_packaged(snapshot.path)
    first, settings = settings.mode == "auto" and packaged, with_defaults(settings, packaged)
    check_mode(settings)
    sampler = build_sampler(settings, snapshot)
    out = find_output(settings, snapshot)
    resolution = sampler.generator.level.resolution
    scale = settings.scale or (1 if settings.mode == "images" else max(1, FIGURE_CELL_PX // resolution))
    output = choose_output(settings, snapshot, out.suffix)
    output.check_size(resolution * scale)
    single = isinstance(output, SampleImages)
    paths = place(
        partial(output.write, sampler, scale),
        out,
        keep_both=settings.out is None,
        continues=identity(settings, snapshot) if single else None,
        companion=LATENTS if single else None,
    )
    count = len(output.seeds) if single else 1
    return SampleResult(paths, count, resolution, scale, sampler.seed_source == "numpy", NEXT if first else "")
