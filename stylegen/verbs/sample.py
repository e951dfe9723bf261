"""Sample images from a snapshot: single images, a figure, or a looping animation."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from stylegen.checkpoints.packaged import is_packaged
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.config.settings import SampleSettings
from stylegen.cpus import use_default_threads
from stylegen.distributed import choose_device
from stylegen.latent.latents_file import read_latents
from stylegen.latent.sampler import Sampler
from stylegen.latent.seeds import parse_seeds
from stylegen.verbs.outputs import find_output
from stylegen.verbs.placement import place
from stylegen.verbs.sample_modes import choose_output

NEXT = """
next:
  python sample.py mode=mixing seeds=0-4 mix_seeds=10-16
  python sample.py mode=video seeds=0-7 out=walk.webp
  python train.py data.path=FOLDER"""
FIGURE_CELL_PX = 64  # figures enlarge smaller images to this size


@dataclass(frozen=True)
class SampleResult:
    """The files written, the scale of their pixels, whether z is NumPy's, and what to try next."""

    paths: list[Path]
    resolution: int
    scale: int
    numpy_seeds: bool = False
    hints: str = ""

    def __str__(self) -> str:
        size = f"{self.resolution}x{self.resolution} px, scale {self.scale}" + ", NumPy's seeds" * self.numpy_seeds
        if self.scale == 1 and self.resolution < FIGURE_CELL_PX:
            size += f"; scale={FIGURE_CELL_PX // self.resolution} enlarges them"
        count = "" if len(self.paths) == 1 else f"{len(self.paths)} images in "
        return f"{count}{self.paths[0] if len(self.paths) == 1 else self.paths[0].parent} ({size}){self.hints}"


def run(settings: SampleSettings) -> SampleResult:
    """Load the snapshot, sample, write PNGs or an animation.

    Raises:
        UserError: a bad snapshot, seed, layer, class, or an output that cannot be written.
    """
    seeds, others = parse_seeds(settings.seeds), parse_seeds(settings.mix_seeds, "mix_seeds")
    use_default_threads()
    snapshot = load_snapshot(settings.snapshot)
    first = settings.mode == "auto" and is_packaged(snapshot.path)
    if settings.mode == "auto":
        settings = replace(settings, mode="grid" if first else "images")
    source: str | torch.Tensor = snapshot.seed_source if settings.seed_source == "auto" else settings.seed_source
    if settings.latents is not None:
        source = read_latents(settings.latents, snapshot.generator).ws
    if settings.truncation_psi is None:
        settings = replace(settings, truncation_psi=0.7 if settings.latents is None else 1.0)
    assert settings.truncation_psi is not None
    sampler = Sampler(
        snapshot.generator.to(choose_device(settings.device)).to(memory_format=torch.channels_last),  # as in training
        psi=settings.truncation_psi,
        cutoff=settings.truncation_cutoff,
        noise=settings.noise,
        label=snapshot.class_index(settings.label),
        batch_size=settings.batch_size,
        seed_source=source,
    )
    out = find_output(settings, snapshot)
    resolution = sampler.generator.level.resolution
    scale = settings.scale or (1 if settings.mode == "images" else max(1, FIGURE_CELL_PX // resolution))
    output = choose_output(settings, seeds, others)
    output.check_size(resolution * scale)
    paths = place(partial(output.write, sampler, scale), out, keep_both=settings.out is None)
    return SampleResult(paths, resolution, scale, isinstance(source, str) and source == "numpy", NEXT if first else "")
